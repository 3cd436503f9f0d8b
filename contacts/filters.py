"""The query parameters lists, contacts, import rows and consent can be filtered by."""

from __future__ import annotations

import re
from typing import Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet

from contacts.models import ContactList, ImportRow, PhoneNumber, RowState, Segment
from smsportal import phones
from smsportal.mirror.models import SyncState

_NO_DIGITS = re.compile(r"\D")
_YES_OR_NO = {"true": True, "1": True, "false": False, "0": False}


def number_like(text: str, path: str) -> Q:
    """The rows whose number at `path` contains the digits of `text`; none when it has fewer than three."""
    digits = _NO_DIGITS.sub("", text)
    return Q(**{f"{path}__contains": digits}) if len(digits) >= 3 else Q(pk=None)


class YesOrNoField(forms.Field):
    """`true` or `false` in any case, 1 or 0; None when it is blank."""

    def to_python(self, value: str | None) -> bool | None:
        if not value:
            return None
        if (word := value.lower()) not in _YES_OR_NO:
            raise forms.ValidationError("true or false.")
        return _YES_OR_NO[word]


class YesOrNoFilter(django_filters.BooleanFilter):
    """Refuses what is neither yes nor no: a filter that is ignored shows everybody."""

    field_class = YesOrNoField


class ContactListFilter(django_filters.FilterSet):
    """`search` looks into names."""

    search = django_filters.CharFilter(field_name="name", lookup_expr="icontains")
    tag = django_filters.CharFilter(field_name="tags__name")
    sync_state = django_filters.ChoiceFilter(choices=SyncState.choices)

    class Meta:
        model = ContactList
        fields: list[str] = []


class ContactFilter(django_filters.FilterSet):
    """`search` looks into names, e-mail addresses and numbers; `state` is the sync state."""

    search = django_filters.CharFilter(method="find")
    state = django_filters.ChoiceFilter(field_name="sync_state", choices=SyncState.choices)
    opted_out = YesOrNoFilter(field_name="number__opted_out")
    active = YesOrNoFilter()

    def find(self, contacts: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        found = number_like(value, "number__e164")
        for word in value.split():
            named = Q(first_name__icontains=word) | Q(last_name__icontains=word) | Q(email__icontains=word)
            contacts = contacts.filter(named | found)
        return contacts


class SegmentFilter(django_filters.FilterSet):
    """`search` looks into names; `contact_list` is the id of a list."""

    search = django_filters.CharFilter(field_name="name", lookup_expr="icontains")
    contact_list = django_filters.UUIDFilter(field_name="contact_list__uuid")

    class Meta:
        model = Segment
        fields: list[str] = []


class ImportRowFilter(django_filters.FilterSet):
    """Rows by what applying them would do."""

    state = django_filters.ChoiceFilter(choices=RowState.choices)

    class Meta:
        model = ImportRow
        fields: list[str] = []


class ByNumberFilter(django_filters.FilterSet):
    """`phone_number` however it is written; one that is no number finds nothing."""

    phone_number = django_filters.CharFilter(method="numbered")

    def numbered(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        path = "e164" if rows.model is PhoneNumber else "number__e164"
        # A plus sign in a query is a space unless it is written %2B.
        text = f"+{value.strip()}" if value.startswith(" ") else value
        try:
            return rows.filter(**{path: phones.to_e164(text)})
        except phones.BadNumber:
            return rows.none()
