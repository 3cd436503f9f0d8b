"""Holidays in the admin: the days staff enter, and beside them the public ones that are kept by setting."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display

from messaging.models import Holiday, forget_holidays, public_holidays
from smsportal.accounts.pages import PortalAdmin
from smsportal.accounts.parts import OwnRowsFilter, who
from smsportal.problems import Problem

SHOWN: Final = 12


@admin.register(Holiday)
class HolidayAdmin(PortalAdmin):
    """Days on which nothing leaves."""

    intro = (
        "On these days nothing is sent, wherever the recipient is; it waits and leaves on the next day, after the quiet "
        "hours. A change works within a minute, also for what waits already."
    )
    empty_title = "No holiday entered"
    empty_text = "Add the days on which your university does not write to students, such as the days between the years."
    list_before_template = "admin/messaging/holidays.html"
    list_display = ("day", "weekday", "name", "of")
    list_filter = (("unit", OwnRowsFilter),)
    list_select_related = ("unit",)
    search_fields = ("name",)
    ordering = ("-day",)
    fields = ("day", "name", "unit")

    @display(description="Weekday", ordering="day")
    def weekday(self, row: Holiday) -> str:
        return f"{row.day:%A}"

    @display(description="Unit", ordering="unit", empty_value="All units")
    def of(self, row: Holiday) -> str:
        return str(row.unit or "All units")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {"public": _coming(), **(extra_context or {})})

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("initial", None)
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None:
            field.required = not _may_for_all(request)
        return field

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _touches(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _touches(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        forget_holidays()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        forget_holidays()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        super().delete_queryset(request, queryset)
        forget_holidays()


def _may_for_all(request: HttpRequest) -> bool:
    return who(request).has_perm("accounts.see_all_units")


def _touches(request: HttpRequest, row: Holiday | None) -> bool:
    """Days of all units are the business of those who see all units."""
    return row is None or row.unit_id is not None or _may_for_all(request)


def _coming() -> dict[str, Any]:
    """The public holidays of the places in HOLIDAYS that come next, for admin/messaging/holidays.html."""
    today = timezone.localdate()
    places = tuple(settings.HOLIDAYS)
    days: dict[date, str] = {}
    problem = ""
    try:
        days = public_holidays(places, (today.year - 1, today.year, today.year + 1))
    except Problem as wrong:
        problem = wrong.detail
    coming = [(day, name) for day, name in sorted(days.items()) if day >= today][:SHOWN]
    return {"places": ", ".join(places), "days": coming, "problem": problem}
