"""What every form that sends has, and the forms of single texts, replies, templates and senders."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django import forms
from django.http import HttpRequest

from messaging.models import Sender
from smsportal import phones
from smsportal.accounts.models import ProviderAccount, Unit
from smsportal.accounts.parts import visible, who
from smsportal.problems import Problem


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


class TokenField(forms.CharField):
    """Another value each time a form is shown, so that a form sent twice can be told from two forms."""

    widget = forms.HiddenInput

    def __init__(self) -> None:
        super().__init__(max_length=64, required=False, initial=lambda: uuid4().hex)


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
        if len(only := senders[:2]) == 1:
            self.fields["sender"].initial = only[0]

    def arguments(self) -> dict[str, Any]:
        """Account, sender and operator, for a verb."""
        sender: Sender = self.cleaned_data["sender"]
        return {"account": sender.account, "sender": sender.address, "operator": self.cleaned_data["operator"]}


class SingleForm(FromForm):
    """One text to one number."""

    to = forms.CharField(label="To", max_length=40, help_text="A phone number, for example (312) 555-0100.")
    text = forms.CharField(widget=forms.Textarea(attrs={"rows": 4}))
    token = TokenField()
    field_order = ("to", "text", "sender", "operator", "token")

    def arguments(self) -> dict[str, Any]:
        """Everything a single text is sent with, but who sends it for which unit."""
        return {**super().arguments(), **{name: self.cleaned_data[name] for name in ("to", "text", "token")}}


class ReplyForm(forms.Form):
    """An answer in a conversation."""

    text = forms.CharField(label="Your answer", widget=forms.Textarea(attrs={"rows": 3}))
    token = TokenField()


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


class SendersForm(forms.Form):
    """Which account to ask for its numbers, and as whom."""

    account = forms.ModelChoiceField(ProviderAccount.objects.filter(is_active=True), empty_label=None)
    operator = forms.EmailField(
        required=False, label="Operator", help_text="Whose numbers to ask for; blank: the account's own operator."
    )
