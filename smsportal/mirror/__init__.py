"""Keep our rows and their records the same. Knows no app: rows go in as plain dataclasses, a report comes out."""
