"""The API calls of lists, segments, contacts, imports, sync runs and consent: thin faces over the verbs of this app."""

from contacts.views.consent import ConsentEvents, OptOuts
from contacts.views.imports import ImportRows, Imports, ListImports
from contacts.views.lists import ContactLists, Contacts, ListContacts
from contacts.views.segments import Segments
from contacts.views.syncs import ListSync, SyncRuns

__all__ = [
    "ConsentEvents",
    "ContactLists",
    "Contacts",
    "ImportRows",
    "Imports",
    "ListContacts",
    "ListImports",
    "ListSync",
    "OptOuts",
    "Segments",
    "SyncRuns",
]
