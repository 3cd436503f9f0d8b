"""Writing a batch: the form, the fields its text may use, and how long the text is while it is typed."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect

from messaging import controls, wording
from messaging.channels import sms
from messaging.forms import ComposeForm, initial_of
from messaging.models import Batch
from messaging.statuses import MOVES
from smsportal.accounts.pages import Page
from smsportal.accounts.parts import who
from smsportal.problems import Problem


class ComposePage(Page):
    """A new batch; it is a draft until it is submitted."""

    where = "compose/"
    name = "compose"
    template = "admin/messaging/compose.html"
    permission = "messaging.add_batch"
    row: Batch | None

    def get(self, request: HttpRequest) -> HttpResponse:
        chosen = [pk for pk in request.GET.getlist("lists") if pk.isdigit()]
        return self.form_page(request, ComposeForm(request=request, initial={"lists": chosen}))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        form = ComposeForm(request.POST, request=request)
        if form.is_valid():
            try:
                batch = self.keep(request, form)
            except Problem as problem:
                form.blame(problem)
            else:
                return redirect(self.admin.url("change", batch.pk))
        return self.form_page(request, form)

    def keep(self, request: HttpRequest, form: ComposeForm) -> Batch:
        return controls.create(actor=who(request), unit=form.cleaned_data["unit"], **form.arguments())

    def form_page(self, request: HttpRequest, form: ComposeForm) -> HttpResponse:
        lists = list(form.fields["lists"].queryset)  # type: ignore[attr-defined]
        return self.show(
            request,
            title=f"Edit {self.row}" if self.row else "Write a batch",
            form=form,
            no_lists=not lists,
            no_senders=not form.fields["sender"].queryset.exists(),  # type: ignore[attr-defined]
            usable=[(each, [field.name for field in each.schema()]) for each in lists],
            usable_by_list={str(each.pk): [field.name for field in each.schema()] for each in lists},
            template_texts=template_texts(form),
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
        return self.form_page(request, ComposeForm(request=request, initial=initial_of(self.row)))

    def keep(self, request: HttpRequest, form: ComposeForm) -> Batch:
        return controls.edit(self.row, actor=who(request), **form.arguments())


def template_texts(form: ComposeForm) -> dict[str, str]:
    """The newest wording of every template on offer, to be shown when it is chosen."""
    found: dict[str, str] = {}
    for template in form.fields["template"].queryset.prefetch_related("versions"):  # type: ignore[attr-defined]
        versions = list(template.versions.all())
        if versions:
            found[str(template.pk)] = max(versions, key=lambda each: each.version).text
    return found


class MeasurePage(Page):
    """How many segments a text takes and what is wrong with its braces, for the form while one types."""

    where = "measure/"
    name = "measure"
    permission = "messaging.view_batch"

    def post(self, request: HttpRequest) -> JsonResponse:
        text = request.POST.get("text", "").replace("\r\n", "\n")
        try:
            least = wording.literal(text)
        except Problem as problem:
            return JsonResponse({"problem": problem.detail})
        found = sms.measure(least)
        culprits = " ".join(sms.culprits(least))
        return JsonResponse({"characters": len(least), "segments": found.segments, "culprits": culprits})
