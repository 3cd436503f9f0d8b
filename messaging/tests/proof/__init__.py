"""Shows that sending never loses, never doubles and stops when told: `make proof` runs all of it, `make test` the quick forms."""
