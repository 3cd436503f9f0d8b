"""What every page of the admin shares: rows of one's own units, capped counts, deeds with a confirmation, flow pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View
from unfold.admin import ModelAdmin

from smsportal.accounts.models import ProviderAccount, Unit
from smsportal.accounts.parts import CappedChangeList, CappedPaginator, Deed, DeedForm, Fact, Link, tell, visible, who
from smsportal.problems import Problem, Wrong
from smsportal.providers.errors import ProviderError


class PortalAdmin(ModelAdmin):
    """The base of every admin: what one may see, how it is counted, what can be done, what an empty list says."""

    intro: ClassVar[str] = ""
    empty_title: ClassVar[str] = "Nothing here yet"
    empty_text: ClassVar[str] = ""
    deeds: ClassVar[Sequence[str]] = ()
    pages: ClassVar[Sequence[type[Page]]] = ()
    change_page: ClassVar[type[Page] | None] = None  # instead of Django's form

    show_full_result_count = False
    paginator = CappedPaginator
    list_per_page = 50
    actions: Sequence[Any] | None = None
    list_before_template = "admin/portal/intro.html"
    change_form_outer_before_template = "admin/portal/overview.html"

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = visible(self.model, request)
        ordering = self.get_ordering(request)
        return rows.order_by(*ordering) if ordering else rows

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        found: dict[str, Any] = super().get_actions(request)
        found.pop("delete_selected", None)  # it loads everything that hangs on the rows, and asks no verb
        return found

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[CappedChangeList]:
        return CappedChangeList

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget  # a form changes its own row only
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("queryset", visible(db_field.remote_field.model, request))
        if db_field.remote_field.model is Unit:
            kwargs.setdefault("initial", who(request).home())
        if db_field.remote_field.model is ProviderAccount:
            kwargs.setdefault("initial", ProviderAccount.objects.filter(is_active=True).order_by("pk").first())
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    # --- what is shown above a row --------------------------------------------------------------------------------
    def facts(self, request: HttpRequest, row: Any) -> list[Fact]:
        """What a person wants to know of the row before anything else."""
        return []

    def links(self, request: HttpRequest, row: Any) -> list[Link]:
        """Where to go from the row."""
        return []

    def list_links(self, request: HttpRequest) -> list[Link]:
        """Where to go from the list."""
        return []

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(
            request, {"intro": self.intro, "list_links": self.list_links(request), **(extra_context or {})}
        )

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        more = dict(extra_context or {})
        if object_id and (row := self.get_object(request, unquote(object_id))) is not None:
            more |= {"overview": self.overview(request, row)}
        try:
            return super().changeform_view(request, object_id, form_url, more)
        except Problem as problem:
            tell(request, problem)
            return redirect(request.get_full_path())

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        if self.change_page is not None:
            return self.change_page.as_view(model_admin=self)(request, object_id=object_id)
        return super().change_view(request, object_id, form_url, extra_context)

    def overview(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Facts, links and the deeds this person may do now, for admin/portal/overview.html."""
        return {
            "facts": self.facts(request, row),
            "links": self.links(request, row),
            "deeds": [(each, self.url("do", row.pk, each.name)) for each in self.possible(request, row)],
        }

    def possible(self, request: HttpRequest, row: Any) -> list[Deed]:
        """The deeds this person may do to this row now."""
        found: list[Deed] = [getattr(self, name).deed for name in self.deeds]
        return [each for each in found if who(request).has_perm(each.permission) and each.when(row)]

    def why_not(self, request: HttpRequest, row: Any, wanted: Deed) -> str:
        """Why `wanted` is not asked about now, in the words its refusal would have; "" when it may be done."""
        return "" if wanted.when(row) else "It was done already, or something else was done meanwhile."

    # --- addresses ------------------------------------------------------------------------------------------------
    def url(self, page: str, *args: Any) -> str:
        """The address of one of this admin's pages: `change`, `changelist`, `do` or the name of a flow page."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}", args=args)

    def get_urls(self) -> list[URLPattern]:
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_"
        pages: list[type[Page]] = [DeedPage, *self.pages]
        own = [
            path(page.where, self.admin_site.admin_view(page.as_view(model_admin=self)), name=prefix + page.name)
            for page in pages
        ]
        return own + list(super().get_urls())


class Page(View):
    """One page about one row (`<path:object_id>/…`) or about none. Every Problem is told, never a 500."""

    model_admin: PortalAdmin | None = None
    where: ClassVar[str]
    name: ClassVar[str]
    template: ClassVar[str]
    permission: ClassVar[str] = ""
    row: Any = None

    @property
    def admin(self) -> PortalAdmin:
        assert self.model_admin is not None  # noqa: S101 — get_urls sets it
        return self.model_admin

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if self.permission and not who(request).has_perm(self.permission):
            raise PermissionDenied
        object_id = kwargs.pop("object_id", None)
        if object_id is not None:
            self.row = self.admin.get_object(request, unquote(object_id))
            if self.row is None or not self.admin.has_view_permission(request, self.row):
                what = self.admin.opts.verbose_name
                messages.warning(request, f"This {what} does not exist, or it belongs to a unit that is not yours.")
                return redirect("admin:index")
        try:
            return super().dispatch(request, *args, **kwargs)
        except Problem as problem:
            tell(request, problem)
        except ProviderError as wrong:
            messages.error(request, f"The provider could not be asked: {wrong.text}")
        return redirect(self.after(request))

    def after(self, request: HttpRequest) -> str:
        """Where a POST, or a refusal, leads."""
        if request.method == "POST":
            given = request.POST.get("next", "")
            if url_has_allowed_host_and_scheme(given, allowed_hosts={request.get_host()}):
                return given
        return self.admin.url("change", self.row.pk) if self.row is not None else self.admin.url("changelist")

    def show(self, request: HttpRequest, *, template: str = "", **context: Any) -> HttpResponse:
        """The page in the look of the admin."""
        request.current_app = self.admin.admin_site.name
        everywhere = self.admin.admin_site.each_context(request)
        shown = {**everywhere, "opts": self.admin.opts, "original": self.row, "row": self.row, **context}
        if self.row is not None and "overview" not in context:
            shown["overview"] = self.admin.overview(request, self.row)
        return TemplateResponse(request, template or self.template, shown)


class DeedPage(Page):
    """Asks before a deed where it must, and does it on POST."""

    where = "<path:object_id>/do/<slug:deed>/"
    name = "do"
    template = "admin/portal/confirm.html"

    def wanted(self, request: HttpRequest, name: str) -> Deed:
        known = {each: getattr(self.admin, each).deed for each in self.admin.deeds}
        if name not in known:
            raise Http404
        found: Deed = known[name]
        if not who(request).has_perm(found.permission):
            raise PermissionDenied
        return found

    def get(self, request: HttpRequest, deed: str) -> HttpResponseBase:
        wanted = self.wanted(request, deed)
        if not wanted.asks:
            return redirect(self.after(request))
        if why := self.admin.why_not(request, self.row, wanted):
            return self.refused(request, wanted, why)
        return self.ask(request, wanted, wanted.form(row=self.row) if wanted.form else None)

    def post(self, request: HttpRequest, deed: str) -> HttpResponseBase:
        wanted = self.wanted(request, deed)
        form = wanted.form(request.POST, row=self.row) if wanted.form else None
        if form is not None and not form.is_valid():
            # Done in another tab, it cannot be filled in any more: its mistakes would say nothing.
            why = self.admin.why_not(request, self.row, wanted)
            return self.refused(request, wanted, why) if why else self.ask(request, wanted, form)
        try:
            said = getattr(self.admin, wanted.name)(request, self.row, **(form.cleaned_data if form else {}))
        except Wrong as wrong:
            if form is None:
                raise
            form.add_error(None, wrong.detail)  # beside what was filled in, which is not lost
            return self.ask(request, wanted, form)
        if isinstance(said, HttpResponseBase):
            return said
        if said:
            messages.success(request, said)
        return redirect(self.after(request))

    def refused(self, request: HttpRequest, wanted: Deed, why: str) -> HttpResponse:
        shown = {"title": wanted.label, "deed": wanted, "why": why, "back": self.after(request)}
        return self.show(request, template="admin/portal/refused.html", **shown)

    def ask(self, request: HttpRequest, wanted: Deed, form: DeedForm | None) -> HttpResponse:
        sentences = wanted.question(self.row) if wanted.question else ()
        return self.show(
            request,
            title=wanted.label,
            deed=wanted,
            form=form,
            sentences=sentences,
            back=self.after(request),
            overview={},
        )
