"""What the admin's pages are made of: facts, links, deeds, own rows, capped counts, told refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.forms import Form
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.views import ChangeList

from smsportal.accounts.models import Unit, User
from smsportal.problems import Problem

MOST_COUNTED = 10_000  # rows a list counts and pages through; further ones are found by search and filters
MOST_CHOICES = 500  # rows a filter offers


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts at most MOST_COUNTED rows, so that a table of millions opens as fast as a small one."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if isinstance(rows, models.QuerySet):
            return rows.order_by().values("pk")[:MOST_COUNTED].count()
        return min(len(rows), MOST_COUNTED)


class CappedChangeList(ChangeList):
    """A list that claims no more rows than it counted."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.full_result_count = self.result_count


@dataclass(frozen=True, slots=True)
class Fact:
    """One labelled value at the top of a page. `tone`: good, warn, bad, info or nothing."""

    label: str
    value: object
    tone: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A button that only leads somewhere. `tone`: primary or nothing."""

    label: str
    url: str
    tone: str = ""


class DeedForm(Form):
    """What a deed asks for; it may look at the row it is about."""

    def __init__(self, *args: Any, row: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row = row


@dataclass(frozen=True, slots=True)
class Deed:
    """A button that changes something: POST only, allowed by `permission`, asked about first where there is harm."""

    name: str
    label: str
    permission: str
    tone: str = ""
    form: type[DeedForm] | None = None
    question: Callable[[Any], Sequence[str]] | None = None  # row → what will happen, one sentence each
    when: Callable[[Any], bool] = lambda row: True

    @property
    def asks(self) -> bool:
        return self.form is not None or self.question is not None


def deed(label: str, *, permission: str, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a method `(self, request, row, **form values) -> sentence | response` a deed of its ModelAdmin."""

    def mark(method: Callable[..., Any]) -> Callable[..., Any]:
        method.deed = Deed(method.__name__, label, permission, **more)  # type: ignore[attr-defined]
        return method

    return mark


def tell(request: HttpRequest, problem: Problem) -> None:
    """Show a refusal: its sentence, then one line per field error."""
    messages.error(request, problem.detail)
    for field, sentences in problem.errors.items():
        for sentence in sentences:
            if sentence in problem.detail:
                continue  # said once is enough
            messages.error(request, f"{field.replace('_', ' ')}: {sentence}")


class OwnRowsFilter(RelatedDropdownFilter):
    """A filter by a related row that offers only those of one's own units."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        rows = visible(field.remote_field.model, request)
        return [(row.pk, str(row)) for row in rows[:MOST_CHOICES]]


def who(request: HttpRequest) -> User:
    """The person who asks. Every page of the admin is behind the sign-in, so there is one."""
    if isinstance(request.user, User):
        return request.user
    raise PermissionDenied


def visible(model: type[models.Model], request: HttpRequest) -> models.QuerySet[Any]:
    """The rows of `model` the person may see."""
    rows = model._default_manager.all()
    person = who(request)
    if model is Unit and not person.has_perm("accounts.see_all_units"):
        return rows.filter(members=person)
    found: models.QuerySet[Any] = rows.visible_to(person) if hasattr(rows, "visible_to") else rows
    return found
