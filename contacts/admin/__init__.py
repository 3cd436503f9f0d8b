"""Lists, segments, contacts, numbers, imports and syncs in the admin: list → import → check → apply, list → plan → sync."""

from contacts.admin import contacts, imports, lists, numbers, segments, syncs

__all__ = ["contacts", "imports", "lists", "numbers", "segments", "syncs"]
