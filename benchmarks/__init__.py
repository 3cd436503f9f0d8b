"""Measures the portal against its physical limits and against what others would write; `make bench` fills README.md."""
