"""Forms of lists, segments, contacts, imports and opt-outs, as staff fill them in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.conf import settings
from unfold.widgets import UnfoldAdminTextInputWidget

from contacts.checking import check_fields
from contacts.models import ContactList, SchemaField, SegmentMatch
from smsportal import phones
from smsportal.accounts.parts import DeedForm
from smsportal.problems import Problem
from smsportal.providers.base import RemoteField


class ListForm(forms.ModelForm):  # type: ignore[type-arg]
    """A list's name, owner and tags. `seen` (the version shown) catches a change made by somebody else meanwhile."""

    tag_words = forms.CharField(
        label="Tags",
        required=False,
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
        help_text="Words to file the list under, with commas between them.",
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = ContactList
        fields = ("name", "unit", "account", "meta")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["tag_words"].initial = ", ".join(tag.name for tag in self.instance.tags.all())
            self.fields["seen"].initial = self.instance.version

    def clean_tag_words(self) -> list[str]:
        words = [word.strip() for word in self.cleaned_data["tag_words"].split(",")]
        long = next((word for word in words if len(word) > 50), "")
        if long:
            raise forms.ValidationError(f"A tag has at most 50 characters; shorten “{long[:50]}…”.")
        return list(dict.fromkeys(word for word in words if word))


class SchemaFieldForm(forms.ModelForm):  # type: ignore[type-arg]
    """A field of a list; its name in texts follows from the name people read when none is given."""

    class Meta:
        model = SchemaField
        fields = ("display_name", "name", "type", "required", "unique", "position")
        labels = {"display_name": "Column", "name": "Name in texts"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].required = False
        self.fields["position"].required = False

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if not given.get("name") and given.get("display_name"):
            self.instance.name = given["name"] = re.sub(r"\W+", "_", given["display_name"], flags=re.ASCII).strip("_")[
                :60
            ]
        given["position"] = given.get("position") or 0
        return given


class FieldsForm(forms.Form):
    """One contact of a list: an input for every field of its schema, checked like an imported row."""

    def __init__(self, schema: Sequence[RemoteField], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.schema = schema
        for field in schema:
            self.fields[field.name] = forms.CharField(
                label=field.display_name, required=field.required, max_length=1000
            )

    def clean(self) -> dict[str, Any]:
        given = {field.name: self.cleaned_data.get(field.name, "") for field in self.schema}
        if not self.errors:
            for error in check_fields(self.schema, given).errors:
                self.add_error(error.field if error.field in self.fields else None, error.message)
        return given

    def blame(self, errors: Mapping[str, Sequence[str]]) -> None:
        """Show what a verb refused, at its field."""
        for field, sentences in errors.items():
            for sentence in sentences:
                self.add_error(field if field in self.fields else None, sentence)


class SegmentForm(forms.Form):
    """A segment's name and how many of its conditions a contact must meet; the conditions are rows of the page."""

    name = forms.CharField(max_length=120, help_text="For example “Biology majors”.")
    match = forms.ChoiceField(label="A contact must meet", choices=SegmentMatch.choices, initial=SegmentMatch.ALL)


class UploadForm(forms.Form):
    """The file of an import."""

    file = forms.FileField(
        label="File",
        help_text="A CSV file; from Excel: File, Save as, “CSV UTF-8 (Comma delimited)”. The first row names the columns.",
        error_messages={"required": "Choose a file first.", "empty": "The file is empty: save it again with its rows."},
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv,text/plain"}),
    )

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > settings.IMPORT_MAX_BYTES:
            limit = settings.IMPORT_MAX_BYTES // (1024 * 1024)
            raise forms.ValidationError(f"The file is larger than {limit} MB; cut it into smaller files.")
        return file


class ReasonForm(DeedForm):
    """Why staff record or lift an opt-out."""

    reason = forms.CharField(
        max_length=500,
        help_text="Kept for good, with your name: for example “Asked by phone on 3 May”.",
        widget=forms.TextInput,
    )


class OptOutForm(ReasonForm):
    """A number staff want no more texts to go to."""

    phone_number = forms.CharField(label="Phone number", max_length=40, help_text="For example (312) 555-0100.")
    field_order = ("phone_number", "reason")

    def clean_phone_number(self) -> str:
        try:
            return phones.to_e164(self.cleaned_data["phone_number"])
        except phones.BadNumber as bad:
            raise forms.ValidationError(bad.message) from bad


def blame(form: forms.Form, problem: Problem) -> None:
    """Show what a verb refused in the form: at its fields where it names them, above the form where it does not."""
    placed = False
    for field, sentences in problem.errors.items():
        for sentence in sentences:
            form.add_error(field if field in form.fields else None, sentence)
            placed = True
    if not placed:
        form.add_error(None, problem.detail)
