"""What is asked for before a batch is started, sent again or corrected."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django import forms
from django.utils.html import format_html

from messaging import controls
from messaging.controls import FailureClass
from messaging.forms.batches import CountForm
from smsportal.accounts.parts import DeedForm

_CODE = "code-"  # before a code in the form: a blank one could not be told from none


class StartForm(CountForm):
    """The number of texts where there are many, and which snapshot the person has seen."""

    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seen"].initial = self.row.snapshot if self.row is not None else ""


class RetryForm(DeedForm):
    """For which reasons to send again what failed; those where it makes no sense are not chosen beforehand."""

    classes = forms.MultipleChoiceField(
        label="Send again what failed for these reasons",
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": "Choose at least one reason, or go back.",
            "invalid_choice": "Texts you chose are being sent again already, or did not fail after all. Choose of what is left.",
        },
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = [each for each in controls.failure_classes(self.row) if each.number] if self.row is not None else []
        self.fields["classes"].choices = [(_CODE + each.code, _label(each)) for each in found]  # type: ignore[attr-defined]
        self.fields["classes"].initial = [_CODE + each.code for each in found if each.again]

    def clean_classes(self) -> list[str]:
        return [each.removeprefix(_CODE) for each in self.cleaned_data["classes"]]


def _label(each: FailureClass) -> str:
    texts = "1 text" if each.number == 1 else f"{each.number:,} texts"
    warning = "" if each.again else "Sending it again makes no sense, so it is not chosen. "
    return format_html("<span><b>{}: {}</b><br>{}{}</span>", each.title, texts, warning, each.advice)


class CorrectionForm(DeedForm):
    """The text of a correction; who gets it follows from who got the wrong one. Sent twice, it makes one batch."""

    text = forms.CharField(
        label="What they should read now",
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="Nothing leaves yet: you see a preview first. Fields may stand in it, as in {{First_Name|there}}.",
    )
    token = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["token"].initial = uuid4().hex
