"""The forms of a batch: writing it, typing its count before a large start, sending a test of it to oneself."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, cast
from uuid import uuid4
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest, QueryDict

from contacts.models import ContactList, Segment
from messaging import wording
from messaging.controls.checking import PASSED
from messaging.forms.texts import FromForm
from messaging.forms.times import LOCAL, MinuteField, moment, writable, zone_choices
from messaging.models import Batch, Sender, Template, TemplateVersion
from smsportal import clock, phones
from smsportal.accounts.models import Unit
from smsportal.accounts.parts import DeedForm, visible, who
from smsportal.problems import Wrong

BOTH: Final = "You wrote a text and chose a template. Empty the text, or choose “My own text”."

CHOSEN: Final = {"data_needed": "something is always chosen"}


class TemplateChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A template with the version a batch would pin."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} (version {obj.versions.all()[0].version})"


class Sources(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Rows to choose from; a key that no database can hold is refused like any other that is not on offer."""

    widget = forms.CheckboxSelectMultiple
    with_units = False

    def label_from_instance(self, obj: Any) -> str:
        owner = obj.contact_list if isinstance(obj, Segment) else obj
        return f"{obj} ({owner.unit})" if self.with_units else str(obj)

    def clean(self, value: Any) -> Any:
        for each in value or ():
            if len(str(each)) > 18:
                raise forms.ValidationError(self.error_messages["invalid_choice"], "invalid_choice", {"value": each})
        return super().clean(value)


def _keys(given: Any) -> list[int]:
    """The keys of rows that an address names; what can be none in either database is left out."""
    texts = [str(each) for each in given or ()]
    return [int(each) for each in texts if each.isascii() and each.isdigit() and len(each) < 18]


class ComposeForm(FromForm):
    """A batch: to which lists and segments, which text, from which number, when, and when no more.

    `batch`: the one that is edited. A correction has no lists: it goes to those who got the first text.
    """

    name = forms.CharField(max_length=200, help_text="Only staff see it, for example “Move-in day, North hall”.")
    unit = forms.ModelChoiceField(Unit.objects.none(), empty_label=None)
    lists = Sources(ContactList.objects.none(), required=False, label="To these lists")
    segments = Sources(Segment.objects.none(), required=False, label="And to these segments")
    template = TemplateChoice(
        Template.objects.none(),
        required=False,
        label="Which text",
        empty_label="My own text, written below",
        widget=forms.Select(attrs=CHOSEN),
    )
    text = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "data_needed": "unless a template is chosen"}),
        help_text="Put a field of the list between double braces: Hello {{First_Name|there}}. "
        "What follows the bar is used where the field is blank.",
    )
    send_at = MinuteField(required=False, label="Send at", help_text="Any minute. Blank: as soon as it is started.")
    expires_at = MinuteField(
        required=False, label="Not after", help_text="What has not left by then is not sent. Blank: it stays valid."
    )
    zone = forms.ChoiceField(required=False, label="Time zone of these times", widget=forms.Select(attrs=CHOSEN))
    token = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput)
    wordings = forms.IntegerField(required=False, widget=forms.HiddenInput)  # the newest version there was when shown
    field_order = ("name", "unit", "lists", "segments", "template", "text", "sender", "operator",
                   "send_at", "expires_at", "zone", "token", "revision", "wordings")  # fmt: skip

    def __init__(self, *args: Any, request: HttpRequest, batch: Batch | None = None, **kwargs: Any) -> None:
        super().__init__(*args, request=request, **kwargs)
        self.batch = batch
        self._offer(request)
        home = self._home(request)
        zones = self.fields["zone"]
        zones.choices = zone_choices([home.time_zone] if home else [])  # type: ignore[attr-defined]
        zones.initial = home.time_zone if home else settings.TIME_ZONE
        self.fields["unit"].initial = home
        self.fields["token"].initial = uuid4().hex
        self.fields["wordings"].initial = _newest_wording()
        if batch is not None:
            del self.fields["unit"], self.fields["token"]
            if batch.corrects_id:
                del self.fields["lists"], self.fields["segments"]
        else:
            del self.fields["revision"]
            if len(self.fields["unit"].queryset) == 1:  # type: ignore[attr-defined]
                self.fields["unit"].widget = forms.HiddenInput()

    def _home(self, request: HttpRequest) -> Unit | None:
        """The unit of the batch; of a new one that of the lists it is begun with, else one's own first."""
        if self.batch is not None:
            return self.batch.unit
        chosen = visible(ContactList, request).filter(pk__in=_keys(self.initial.get("lists")))
        segments = visible(Segment, request).filter(pk__in=_keys(self.initial.get("segments")))
        units = visible(Unit, request).filter(Q(contact_lists__in=chosen) | Q(contact_lists__segments__in=segments))
        return units.first() or who(request).home()

    def _offer(self, request: HttpRequest) -> None:
        rows: dict[str, Any] = {
            "unit": visible(Unit, request),
            **self._sources(request),
            "template": visible(Template, request)
            .filter(versions__isnull=False)
            .distinct()
            .prefetch_related("versions"),
        }
        for name, found in rows.items():
            self.fields[name].queryset = found  # type: ignore[attr-defined]

    def _sources(self, request: HttpRequest) -> dict[str, Any]:
        """Lists and segments to choose from: of the batch's unit, and what it has already, be it of another one.

        Left out here, that would be dropped by saving; so it stands there, with its unit, until somebody unticks it.
        """
        lists, segments = visible(ContactList, request), visible(Segment, request)
        with_units = self.batch is None and visible(Unit, request).count() > 1
        if self.batch is not None:
            old, own = self.batch.lists.order_by(), self.batch.unit
            parts = self.batch.segments.order_by()
            seen = segments.filter(contact_list__unit=own).order_by()
            lists = ContactList.objects.filter(Q(unit=own) | Q(pk__in=old.values("pk")))
            segments = Segment.objects.filter(Q(pk__in=seen.values("pk")) | Q(pk__in=parts.values("pk")))
            with_units = old.exclude(unit=own).exists() or parts.exclude(contact_list__unit=own).exists()
        for name in ("lists", "segments"):
            self.fields[name].with_units = with_units  # type: ignore[attr-defined]
        return {
            "lists": lists.select_related("unit").prefetch_related("own_fields"),
            "segments": segments.select_related("contact_list__unit"),
        }

    def clean_name(self) -> str:
        name = wording.plain(self.cleaned_data["name"])
        if not name:
            raise forms.ValidationError("Give the batch a name that can be read.")
        return name

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        self._clean_placeholders(given)
        template, text = given.get("template"), (given.get("text") or "").strip()
        if template and text and text.replace("\r\n", "\n") != template.versions.all()[0].text.strip():
            self.add_error("text", BOTH)
        if not template and not text and "text" not in self.errors:
            self.add_error("text", "Write a text, or choose a template.")
        if (
            "lists" in self.fields
            and not given.get("lists")
            and not given.get("segments")
            and not self.errors.get("lists")
        ):
            self.add_error("lists", "Choose at least one list or segment.")
        self._clean_wording(given)
        zone = given.get("zone") or self.fields["zone"].initial
        for name in ("send_at", "expires_at"):
            if given.get(name):
                given[name] = self._moment(name, given[name], zone)
        if given.get("send_at") and given.get("expires_at") and given["expires_at"] <= given["send_at"]:
            self.add_error("expires_at", "It ends before it begins; give a time after the one to send at.")
        return given

    def _clean_wording(self, given: dict[str, Any]) -> None:
        """Refuse, once, a template that got another text since the form was shown: it would be pinned unread."""
        template, seen = given.get("template"), given.get("wordings")
        newest = template.versions.all()[0] if template else None
        if newest and seen is not None and newest.pk > seen:
            sentence = (
                f"“{template}” got a new text since you opened this form: version {newest.version}. "
                "It stands here now; read it, then save again."
            )
            self.add_error("template", sentence)
            self._put("wordings", str(newest.pk))

    def _clean_placeholders(self, given: dict[str, Any]) -> None:
        """Tell the mistakes of a text beside all others, not only once the others are put right."""
        template, segments = given.get("template"), given.get("segments") or ()
        text = template.versions.all()[0].text if template else given.get("text") or ""
        sources = [*(given.get("lists") or ()), *(each.contact_list for each in segments)]
        try:
            wording.placeholders(text)
            wording.refuse_unknown(text, {each.name: [field.name for field in each.schema()] for each in sources})
        except Wrong as mistake:
            self.add_error("text", mistake.errors["text"])

    def _moment(self, name: str, wall: datetime, zone: str) -> datetime | None:
        try:
            found = moment(wall, zone)
        except forms.ValidationError as wrong:
            self.add_error(name, wrong)
            return None
        if found <= clock.now():
            self.add_error(name, PASSED[name])
        kept = getattr(self.batch, name, None)  # a program may have given it with seconds, which a form does not show
        return kept if kept and kept.replace(second=0, microsecond=0) == found.replace(second=0) else found

    def make_another(self) -> None:
        """Give the filled-in form a new token: that of its own belongs to a batch that has begun."""
        self._put("token", uuid4().hex)

    def _put(self, name: str, value: str) -> None:
        given = cast(QueryDict, self.data).copy()
        given[name] = value
        self.data = given

    def arguments(self) -> dict[str, Any]:
        """Everything a draft is made or edited with, but its unit and its token."""
        given = self.cleaned_data
        words = {"template": given["template"], "text": ""} if given["template"] else {"text": given["text"]}
        names = ("name", "lists", "segments", "send_at", "expires_at")
        return {**super().arguments(), **{name: given[name] for name in names if name in self.fields}, **words}


def _newest_wording() -> int:
    """The key of the newest version of any template: whatever is saved later has a greater one."""
    return TemplateVersion.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def initial_of(batch: Batch) -> dict[str, Any]:
    """A batch as the compose form shows it: its template while that is still the newest, times in the zone of its unit.

    Where one of them comes twice there, they stand in UTC: as it stands, the form can be saved.
    """
    moments = {name: at for name in ("send_at", "expires_at") if (at := getattr(batch, name))}
    zone = writable(moments.values(), batch.unit.time_zone)
    pinned = batch.template_version
    newest = pinned.template.newest() if pinned else None
    return {
        "name": batch.name,
        "lists": [each.pk for each in batch.lists.all()],
        "segments": [each.pk for each in batch.segments.all()],
        "template": pinned.template_id if pinned and pinned == newest else None,
        "text": "" if pinned and pinned == newest else batch.text,
        "sender": Sender.objects.filter(account=batch.account, address=batch.sender).first(),
        "operator": batch.operator,
        "zone": zone,
        "revision": batch.revision,
        **{name: at.astimezone(ZoneInfo(zone)).strftime(LOCAL) for name, at in moments.items()},
    }


def left_behind(batch: Batch | None) -> TemplateVersion | None:
    """The version `batch` was written with, where its template has a newer one by now."""
    pinned = batch.template_version if batch else None
    return pinned if pinned and pinned != pinned.template.newest() else None


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


class ToMyselfForm(forms.Form):
    """Where a test of a batch goes: one's own phone."""

    to = forms.CharField(label="Your own phone", max_length=40, help_text="For example (312) 555-0100.")

    def __init__(self, *args: Any, phone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to"].initial = phones.display(phone) if phone else ""
