"""Forms of batches, templates, single texts and replies, as staff fill them in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest

from contacts.models import ContactList
from messaging.models import Batch, Sender, Template
from smsportal import clock, phones
from smsportal.accounts.models import ProviderAccount, Unit
from smsportal.accounts.parts import DeedForm, visible, who
from smsportal.problems import Problem

LOCAL = "%Y-%m-%dT%H:%M"


class BlamedForm(forms.Form):
    """A form that can show what a verb refused."""

    def blame(self, problem: Problem) -> None:
        """At its fields where the problem names them, above the form where it does not."""
        if not problem.errors:
            self.add_error(None, problem.detail)
        for field, sentences in problem.errors.items():
            for sentence in sentences:
                self.add_error(field if field in self.fields else None, sentence)


class SenderField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A number or name to write from, as people write it."""

    def label_from_instance(self, obj: Any) -> str:
        shown = phones.display(obj.address) if obj.address.startswith("+") else obj.address
        return f"{shown}, {obj.label}" if obj.label else shown


class FromForm(BlamedForm):
    """Whatever is sent: from which number of which account, and who gets the answers."""

    sender = SenderField(
        Sender.objects.none(),
        label="From",
        empty_label="Choose a number",
        error_messages={"required": "Choose the number people see."},
    )
    operator = forms.EmailField(
        required=False, label="Who gets the answers", help_text="An operator of the provider; blank: the account's own."
    )

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        senders = Sender.objects.filter(account__is_active=True).select_related("account").order_by("label", "address")
        self.fields["sender"].queryset = senders  # type: ignore[attr-defined]

    def arguments(self) -> dict[str, Any]:
        """Account, sender and operator, for a verb."""
        sender: Sender = self.cleaned_data["sender"]
        return {"account": sender.account, "sender": sender.address, "operator": self.cleaned_data["operator"]}


class ComposeForm(FromForm):
    """A batch: to which lists, which text, from which number, when."""

    name = forms.CharField(max_length=200, help_text="Only staff see it, for example “Move-in day, North hall”.")
    unit = forms.ModelChoiceField(Unit.objects.none(), empty_label=None)
    lists = forms.ModelMultipleChoiceField(
        ContactList.objects.none(),
        label="To these lists",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one list."},
    )
    template = forms.ModelChoiceField(
        Template.objects.none(), required=False, empty_label="No template: the text below"
    )
    text = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "data_needed": "unless a template is chosen"}),
        help_text="Put a field of the list between double braces: Hello {{First_Name|there}}. "
        "What follows the bar is used where the field is blank.",
    )
    send_at = forms.DateTimeField(
        required=False,
        label=f"Send at ({settings.TIME_ZONE})",
        input_formats=[LOCAL],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=LOCAL),
        help_text="Blank: as soon as it is started.",
    )
    field_order = ("name", "unit", "lists", "template", "text", "sender", "operator", "send_at")

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, request=request, **kwargs)
        units = visible(Unit, request)
        self.fields["unit"].queryset = units  # type: ignore[attr-defined]
        self.fields["lists"].queryset = visible(ContactList, request).prefetch_related("own_fields")  # type: ignore[attr-defined]
        self.fields["template"].queryset = visible(Template, request)  # type: ignore[attr-defined]
        self.fields["unit"].initial = who(request).home()
        if units.count() == 1:
            self.fields["unit"].widget = forms.HiddenInput()

    def clean_send_at(self) -> datetime | None:
        given: datetime | None = self.cleaned_data["send_at"]
        if given and given <= clock.now():
            raise forms.ValidationError(
                "This moment has passed. Choose a later one, or leave it blank to send at once."
            )
        return given

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if not given.get("template") and not given.get("text", "").strip() and "text" not in self.errors:
            self.add_error("text", "Write a text, or choose a template.")
        return given

    def arguments(self) -> dict[str, Any]:
        """Everything a draft is made or edited with, but its unit."""
        given = self.cleaned_data
        words = {"template": given["template"], "text": ""} if given["template"] else {"text": given["text"]}
        return {
            **super().arguments(),
            "name": given["name"],
            "lists": given["lists"],
            "send_at": given["send_at"],
            **words,
        }


def initial_of(batch: Batch) -> dict[str, Any]:
    """A batch as the compose form shows it."""
    return {
        "name": batch.name,
        "unit": batch.unit_id,
        "lists": [each.pk for each in batch.lists.all()],
        "text": batch.text,
        "sender": Sender.objects.filter(account=batch.account, address=batch.sender).first(),
        "operator": batch.operator,
        "send_at": batch.send_at,
    }


class SingleForm(FromForm):
    """One text to one number."""

    to = forms.CharField(label="To", max_length=40, help_text="A phone number, for example (312) 555-0100.")
    text = forms.CharField(widget=forms.Textarea(attrs={"rows": 4}))
    field_order = ("to", "text", "sender", "operator")


class ReplyForm(forms.Form):
    """An answer in a conversation."""

    text = forms.CharField(label="Your answer", widget=forms.Textarea(attrs={"rows": 3}))


class TemplateForm(BlamedForm):
    """A template's name and its newest wording."""

    name = forms.CharField(max_length=120)
    unit = forms.ModelChoiceField(Unit.objects.none(), empty_label=None)
    text = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="Fields stand between double braces: Hello {{First_Name|there}}.",
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, request: HttpRequest, fixed_unit: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["unit"].queryset = visible(Unit, request)  # type: ignore[attr-defined]
        self.fields["unit"].initial = who(request).home()
        if fixed_unit:
            del self.fields["unit"]


class CountForm(DeedForm):
    """The number of texts typed out, before many leave at once."""

    count = forms.CharField(label="Type the number of texts to confirm it", max_length=20)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fall = (self.row.waterfall or {}) if self.row is not None else {}
        self.wanted = int(fall.get("will_send", 0)) + int(fall.get("quiet_hours", 0))
        if self.wanted <= settings.APPROVAL_ABOVE:
            del self.fields["count"]

    def clean_count(self) -> str:
        typed = "".join(each for each in self.cleaned_data["count"] if each.isdigit())
        if typed != str(self.wanted):
            raise forms.ValidationError(f"{self.wanted:,} texts would leave. Type exactly that number, or go back.")
        return typed


class SendersForm(forms.Form):
    """Which account to ask for its numbers, and as whom."""

    account = forms.ModelChoiceField(ProviderAccount.objects.filter(is_active=True), empty_label=None)
    operator = forms.EmailField(
        required=False, label="Operator", help_text="Whose numbers to ask for; blank: the account's own operator."
    )
