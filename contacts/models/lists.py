"""Contact lists with their schema, and the contacts in them, as Ocelot's documents name them."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F
from django.db.models.functions import Lower

from contacts.models.numbers import PhoneNumber
from smsportal.accounts.models import OwnedQuerySet, ProviderAccount, Unit
from smsportal.mirror.models import Mirrored
from smsportal.providers.base import RemoteField
from smsportal.rows import Row


class FieldType(models.TextChoices):
    """Types of schema fields. Ocelot documents the default four and Text."""

    PHONE = "PhoneNumber", "Phone number"
    EMAIL = "Email", "E-mail address"
    FIRST_NAME = "FirstName", "First name"
    LAST_NAME = "LastName", "Last name"
    TEXT = "Text", "Text"


# Every list has these four, whatever else it has (Contact List API, "Default schema").
DEFAULT_FIELDS: tuple[RemoteField, ...] = (
    RemoteField(FieldType.PHONE, "Phone_Number", "Phone Number", required=True, unique=True),
    RemoteField(FieldType.EMAIL, "Email_Address", "Email Address", required=False, unique=True),
    RemoteField(FieldType.FIRST_NAME, "First_Name", "First Name"),
    RemoteField(FieldType.LAST_NAME, "Last_Name", "Last Name"),
)


class Tag(models.Model):
    """A word lists are filed under; Ocelot takes at most 50 characters."""

    name = models.CharField(max_length=50, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ContactList(Row, Mirrored):
    """A named list of contacts with one schema, owned by a unit and mirrored at one provider account."""

    unit = models.ForeignKey(Unit, on_delete=models.PROTECT, related_name="contact_lists")
    account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="contact_lists")
    name = models.CharField(max_length=200)
    tags = models.ManyToManyField(Tag, blank=True, related_name="contact_lists")
    meta = models.JSONField(default=dict, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [
            ("import_contactlist", "Can import contacts into lists"),
            ("sync_contactlist", "Can sync lists with the provider"),
        ]
        constraints = [models.UniqueConstraint(fields=["account", "name"], name="one_list_per_name_and_account")]

    def __str__(self) -> str:
        return self.name

    def schema(self) -> list[RemoteField]:
        """The default four fields, then this list's own, in order."""
        return [*DEFAULT_FIELDS, *(field.as_remote() for field in self.own_fields.all())]


class SchemaField(Row):
    """A field of a list beyond the default four. `name` is what templates put between double braces."""

    contact_list = models.ForeignKey(ContactList, on_delete=models.CASCADE, related_name="own_fields")
    type = models.CharField(max_length=20, choices=FieldType, default=FieldType.TEXT)
    name = models.CharField(
        max_length=60,
        validators=[RegexValidator(r"\A[A-Za-z][A-Za-z0-9_]*\Z", "Letters, digits and _, beginning with a letter.")],
    )
    display_name = models.CharField(max_length=100)
    required = models.BooleanField(default=False)
    unique = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["contact_list", "name"], name="one_field_per_name_and_list")]

    def __str__(self) -> str:
        return self.display_name

    def as_remote(self) -> RemoteField:
        return RemoteField(self.type, self.name, self.display_name, self.required, self.unique)


class ContactQuerySet(OwnedQuerySet):
    """Contacts, many at a time."""

    def present(self) -> ContactQuerySet:
        """Without those removed here whose counterpart at the provider still waits to be removed."""
        return self.filter(removed_at=None)


class Contact(Row, Mirrored):
    """One person in one list. The number decides identity within the list; `extra` holds the list's own fields."""

    unit_path = "contact_list__unit"

    contact_list = models.ForeignKey(ContactList, on_delete=models.CASCADE, related_name="contacts")
    number = models.ForeignKey(PhoneNumber, on_delete=models.PROTECT, related_name="contacts")
    email = models.CharField(max_length=254, blank=True)
    first_name = models.CharField(max_length=150, blank=True)
    last_name = models.CharField(max_length=150, blank=True)
    extra = models.JSONField(default=dict, blank=True)
    active = models.BooleanField(
        default=True, help_text="As the provider reports it; inactive ones are not written to."
    )
    removed_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ContactQuerySet.as_manager()

    class Meta:
        ordering = ["last_name", "first_name", "id"]
        constraints = [models.UniqueConstraint(fields=["contact_list", "number"], name="one_contact_per_number")]
        indexes = [
            models.Index(fields=["contact_list", "sync_state"]),
            models.Index(F("contact_list"), F("last_name"), F("first_name"), F("id"), name="contact_by_name"),
            models.Index(F("contact_list"), Lower("email"), name="contact_by_email"),
        ]

    def __str__(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or str(self.number)

    def fields(self) -> dict[str, str]:
        """Every filled field by its name, the default ones first; what templates and providers are given."""
        return contact_fields(self.number.e164, self.email, self.first_name, self.last_name, self.extra)


def contact_fields(e164: str, email: str, first: str, last: str, extra: dict[str, str]) -> dict[str, str]:
    """The fields of one contact by name, blanks left out: an empty e-mail would clash as a duplicate at Ocelot."""
    named = {"Phone_Number": e164, "Email_Address": email, "First_Name": first, "Last_Name": last, **extra}
    return {name: value for name, value in named.items() if value}
