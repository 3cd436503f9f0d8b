"""② The rows of contacts: numbers with their consent, lists with their schema, contacts, imports, sync runs.

Next: contacts/sync/__init__.py
"""

from contacts.models.imports import Import, ImportRow, ImportState, RowState
from contacts.models.lists import DEFAULT_FIELDS, Contact, ContactList, FieldType, SchemaField, Tag
from contacts.models.numbers import ConsentEvent, ConsentKind, ConsentSource, PhoneNumber
from contacts.models.segments import Segment, SegmentMatch
from contacts.models.syncs import SyncRun, SyncRunState

__all__ = [
    "DEFAULT_FIELDS",
    "ConsentEvent",
    "ConsentKind",
    "ConsentSource",
    "Contact",
    "ContactList",
    "FieldType",
    "Import",
    "ImportRow",
    "ImportState",
    "PhoneNumber",
    "RowState",
    "SchemaField",
    "Segment",
    "SegmentMatch",
    "SyncRun",
    "SyncRunState",
    "Tag",
]
