"""Writing a batch: the form, the fields its text may use, and how long the text is while it is typed."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect

from messaging import controls, wording
from messaging.admin.previews import SUBMITTED
from messaging.admin.versions import Difference, differences
from messaging.channels import plain, sms
from messaging.controls.moves import refusal as refused
from messaging.forms import ComposeForm, initial_of, left_behind
from messaging.models import Batch
from messaging.statuses import MOVES, BatchState
from smsportal.accounts.pages import Page
from smsportal.accounts.parts import visible, who
from smsportal.problems import Changed, Conflict, Problem


class ComposePage(Page):
    """A new batch; it is a draft until it is submitted."""

    where = "compose/"
    name = "compose"
    template = "admin/messaging/compose.html"
    permission = "messaging.add_batch"
    row: Batch | None
    theirs: list[Difference] | None = None  # what somebody else saved while this was typed

    def get(self, request: HttpRequest) -> HttpResponse:
        """The form under an address of its own, so that going back finds the batch it has made, not a second form."""
        token = request.GET.get("form", "")
        if not (token.isascii() and token.isalnum() and len(token) <= 64):
            asked = request.GET.copy()
            asked["form"] = uuid4().hex
            return redirect(f"{request.path}?{asked.urlencode()}")
        if made := visible(Batch, request).filter(author=who(request), token=token).first():
            return redirect(self.admin.url("edit", made.pk))
        chosen = {name: [pk for pk in request.GET.getlist(name) if pk.isdigit()] for name in ("lists", "segments")}
        return self.form_page(request, ComposeForm(request=request, initial={**chosen, "token": token}))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        if look := request.POST.get("look", ""):
            return self.looked_at(request, look)
        form = ComposeForm(request.POST, request=request, batch=self.row)
        if form.is_valid():
            try:
                batch = self.keep(request, form)
            except Conflict as begun:
                self.begun(form, begun)
            except Changed as changed:
                self.overtaken(form, changed)
            except Problem as problem:
                form.blame(problem)
            else:
                return redirect(self.admin.url("change", batch.pk))
        return self.form_page(request, form)

    def keep(self, request: HttpRequest, form: ComposeForm) -> Batch:
        given = form.cleaned_data
        return controls.create(actor=who(request), unit=given["unit"], token=given["token"], **form.arguments())

    def begun(self, form: ComposeForm, refusal: Conflict) -> None:
        """The form was used before and its batch is on its way: it may make another one."""
        form.add_error(None, f"{refusal.detail} What you wrote is still here; saving it makes another batch.")
        form.make_another()

    def overtaken(self, form: ComposeForm, refusal: Changed) -> None:
        form.blame(refusal)

    def looked_at(self, request: HttpRequest, look: str) -> HttpResponse:
        """The form as it was filled in, measured or with a plainer text, without a script. Nothing is checked or kept."""
        blank = ComposeForm(request=request, batch=self.row)
        given = {
            name: field.widget.value_from_datadict(request.POST, request.FILES, name)
            for name, field in blank.fields.items()
        }
        text = given["text"].replace("\r\n", "\n")
        given["text"] = text if look == "measure" else plain.plain(text, drop=look == "drop")
        return self.form_page(request, ComposeForm(request=request, batch=self.row, initial=given))

    def form_page(self, request: HttpRequest, form: ComposeForm) -> HttpResponse:
        offered = sources_of(form)
        return self.show(
            request,
            title=f"Edit {self.row}" if self.row else "Write a batch",
            form=form,
            theirs=self.theirs,
            corrects=self.row.corrects if self.row else None,
            voids=bool(self.row and self.row.state in SUBMITTED),
            behind=left_behind(self.row),
            no_lists="lists" in form.fields and not any(key.startswith("lists-") for key, _, _ in offered),
            no_senders=not form.fields["sender"].queryset.exists(),  # type: ignore[attr-defined]
            usable=[(title, names) for key, title, names in offered if key.startswith("lists-")],
            usable_by_source={key: names for key, _, names in offered},
            templates=newest_texts(form),
            measured=measured(text_of(form)),
            measure_url=self.admin.url("measure"),
            back=self.after(request),
            overview={},
        )


class EditPage(ComposePage):
    """A batch that has not begun, written anew: a draft again, whoever approved it before."""

    where = "<path:object_id>/edit/"
    name = "edit"
    permission = "messaging.change_batch"
    row: Batch

    def get(self, request: HttpRequest) -> HttpResponse:
        if self.row.state not in MOVES["edit"]:
            messages.error(request, "This batch has begun; it cannot be edited any more.")
            return redirect(self.after(request))
        return self.form_page(request, ComposeForm(request=request, batch=self.row, initial=initial_of(self.row)))

    def keep(self, request: HttpRequest, form: ComposeForm) -> Batch:
        was = BatchState(self.row.state)
        kept = self.edit(request, form)
        if was in SUBMITTED:
            messages.warning(request, f"It is a draft again and no longer {was.label.lower()}: submit it anew.")
        return kept

    def edit(self, request: HttpRequest, form: ComposeForm) -> Batch:
        return controls.edit(self.row, actor=who(request), revision=form.cleaned_data["revision"], **form.arguments())

    def begun(self, form: ComposeForm, refusal: Conflict) -> None:
        form.blame(refusal)

    def overtaken(self, form: ComposeForm, refusal: Changed) -> None:
        self.row.refresh_from_db()
        if self.row.state in MOVES["edit"]:
            self.theirs = differences(self.row, form)
        else:
            form.blame(refused(self.row, "edit"))


def sources_of(form: ComposeForm) -> list[tuple[str, str, list[str]]]:
    """Every list and segment on offer: the value of its box, its title, and the fields a text to it may use."""
    if "lists" not in form.fields:
        return []
    lists = list(form.fields["lists"].queryset)  # type: ignore[attr-defined]
    names = {each.pk: [field.name for field in each.schema()] for each in lists}
    segments = form.fields["segments"].queryset  # type: ignore[attr-defined]
    return [
        *((f"lists-{each.pk}", str(each), names[each.pk]) for each in lists),
        *((f"segments-{each.pk}", str(each), names.get(each.contact_list_id, [])) for each in segments),
    ]


def newest_texts(form: ComposeForm) -> list[dict[str, Any]]:
    """The newest wording of every template on offer, with its version: what a batch would pin."""
    found = []
    for template in form.fields["template"].queryset:  # type: ignore[attr-defined]
        newest = template.versions.all()[0]
        found.append({"id": template.pk, "name": template.name, "version": newest.version, "text": newest.text})
    return found


def text_of(form: ComposeForm) -> str:
    """The text as it stands in the form: that of the chosen template, or one's own."""
    chosen = str(form["template"].value() or "")
    for each in newest_texts(form) if chosen else ():
        if str(each["id"]) == chosen:
            return str(each["text"])
    return str(form["text"].value() or "").replace("\r\n", "\n")


def measured(text: str) -> dict[str, Any]:
    """What the form says of a text: its length, its segments, what makes it dear, and the same in plain characters."""
    if not text.strip():
        return {}
    try:
        least = wording.literal(text)
        more = bool(wording.placeholders(text))
    except Problem as problem:
        return {"problem": problem.detail}
    found = sms.measure(least)
    alone, joined = (160, 153) if found.encoding == "GSM-7" else (70, 67)
    left = max(0, (alone if found.segments < 2 else joined * found.segments) - found.units)
    size = f"{found.segments} segment{'' if found.segments == 1 else 's'}"
    begin = f"{'At least ' if more else ''}{found.characters:,} characters, {size}; {left} more fit in."
    added = " What people’s fields add is counted in the preview." if more else ""
    kind = (
        "Plain characters (GSM-7)."
        if found.encoding == "GSM-7"
        else "Unicode (UCS-2): 70 characters a segment instead of 160."
    )
    return {
        "said": f"{begin} {kind}{added}",
        "characters": found.characters,
        "segments": found.segments,
        "encoding": found.encoding,
        "culprits": [
            {"character": each.character, "name": each.name, "instead": each.instead} for each in plain.culprits(least)
        ],
        "plain": changed(text, plain.plain(text)),
        "dropped": changed(text, plain.plain(text, drop=True)),
    }


def changed(text: str, other: str) -> str | None:
    return other if other != text else None


class MeasurePage(Page):
    """How many segments a text takes and what is wrong with its braces, for the form while one types."""

    where = "measure/"
    name = "measure"
    permission = "messaging.view_batch"

    def post(self, request: HttpRequest) -> JsonResponse:
        return JsonResponse(measured(request.POST.get("text", "").replace("\r\n", "\n")))
