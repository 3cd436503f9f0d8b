"""Who we write to: lists, their schemas, contacts, consent, imports and the mirror at the provider."""
