"""Twins of the providers: they behave as the provider's documents say and share no code with the rest of the portal."""
