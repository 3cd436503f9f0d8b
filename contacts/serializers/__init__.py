"""How lists, contacts, imports, sync runs and consent look to programs, and the bodies programs send about them."""
