"""The API calls of contact lists and the contacts in them."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from rest_framework.request import Request
from rest_framework.response import Response

from contacts import keeping
from contacts.filters import ContactFilter, ContactListFilter
from contacts.models import Contact, ContactList
from contacts.serializers.lists import (
    ContactBodySerializer,
    ContactListBodySerializer,
    ContactListChangeSerializer,
    ContactListSerializer,
    ContactsBodySerializer,
    ContactSerializer,
    SavedSerializer,
)
from smsportal.accounts.models import ProviderAccount
from smsportal.accounts.serializers import owner
from smsportal.api.rights import Call
from smsportal.api.views import View, version_asked
from smsportal.problems import Wrong


def account_for_lists() -> ProviderAccount:
    """The first active account whose provider mirrors lists. Raises Wrong when there is none."""
    for account in ProviderAccount.objects.filter(is_active=True).order_by("id"):
        if account.at_provider().abilities.mirrors_contacts:
            return account
    raise Wrong("No account mirrors lists; name one.", errors={"account": ["Name an account."]})


class ContactLists(View):
    """Lists of contacts with their schema, mirrored at a provider."""

    model = ContactList
    serializer_class = ContactListSerializer
    filterset_class = ContactListFilter
    orderings = {"name": ("name", "id"), "-created_at": ("-created_at", "-id"), "-updated_at": ("-updated_at", "-id")}
    calls = {
        "list": Call("contacts.view_contactlist", "lists:read"),
        "retrieve": Call("contacts.view_contactlist", "lists:read"),
        "create": Call("contacts.add_contactlist", "lists:write", ContactListBodySerializer, status=201),
        "partial_update": Call("contacts.change_contactlist", "lists:write", ContactListChangeSerializer),
        "destroy": Call("contacts.delete_contactlist", "lists:write", status=204),
    }

    def rows(self) -> Any:
        present = Contact.objects.present().filter(contact_list=OuterRef("pk")).order_by()
        counted = present.values("contact_list").annotate(n=Count("pk")).values("n")
        return (
            super()
            .rows()
            .annotate(contact_count=Coalesce(Subquery(counted), 0))
            .select_related("account", "unit")
            .prefetch_related("tags", "own_fields")
        )

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One list. Its version is in the ETag, for If-Match."""
        return self._shown(self.get_object())

    def create(self, request: Request, **_: Any) -> Response:
        """Make an empty list here; it is made at the provider when it is first synced."""
        given = self.given()
        unit = owner(self.actor, given.pop("unit", None))
        account = given.pop("account", None) or account_for_lists()
        made = keeping.create_list(unit=unit, account=account, **given)
        return self._shown(self.rows().get(pk=made.pk))

    def partial_update(self, request: Request, **_: Any) -> Response:
        """Change name, tags, meta or own fields; with If-Match only if nobody else did meanwhile."""
        version = version_asked(request)
        contact_list = self.get_object()
        keeping.change_list(contact_list, version=version, **self.given())
        return self._shown(self.rows().get(pk=contact_list.pk))

    def destroy(self, request: Request, **_: Any) -> Response:
        """Remove the list and its contacts, here and at the provider."""
        keeping.remove_list(self.get_object(), version=version_asked(request))
        return Response(status=204)

    def _shown(self, contact_list: ContactList) -> Response:
        return self.answer(contact_list, ETag=f'"{contact_list.version}"')


class ListContacts(View):
    """The contacts of one list."""

    model = Contact
    serializer_class = ContactSerializer
    filterset_class = ContactFilter
    orderings = {
        "name": ("last_name", "first_name", "id"),
        "phone_number": ("number__e164", "id"),
        "-created_at": ("-id",),  # rows are numbered as they are made, and this needs no sorting
    }
    calls = {
        "list": Call("contacts.view_contact", "lists:read"),
        "create": Call(
            "contacts.add_contact", "lists:write", ContactsBodySerializer, gives=SavedSerializer, status=201
        ),
    }

    def rows(self) -> Any:
        return self._list().contacts.present().select_related("number")

    def create(self, request: Request, **_: Any) -> Response:
        """Add or change up to 1,000 contacts; the phone number decides which. Bad ones are told, the others stored."""
        rows = [contact["fields"] for contact in self.given()["contacts"]]
        return self.answer(keeping.save_contacts(self._list(), rows))

    def _list(self) -> Any:
        return self.parent(ContactList.objects.visible_to(self.request.user))


class Contacts(View):
    """One contact, wherever it is listed."""

    model = Contact
    serializer_class = ContactSerializer
    calls = {
        "retrieve": Call("contacts.view_contact", "lists:read"),
        "partial_update": Call("contacts.change_contact", "lists:write", ContactBodySerializer),
        "destroy": Call("contacts.delete_contact", "lists:write", status=204),
    }

    def rows(self) -> Any:
        return super().rows().filter(removed_at=None).select_related("number", "contact_list")

    def partial_update(self, request: Request, **_: Any) -> Response:
        """Change some fields; an empty text clears one."""
        contact = self.get_object()
        keeping.change_contact(contact, self.given()["fields"])
        return self.answer(self.rows().get(pk=contact.pk))

    def destroy(self, request: Request, **_: Any) -> Response:
        """Remove the contact from its list; at the provider with the next sync that may remove."""
        keeping.remove_contacts([self.get_object()])
        return Response(status=204)
