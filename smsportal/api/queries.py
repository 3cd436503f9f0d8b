"""What may stand behind the question mark of an address: known names only, for one that is ignored shows everybody."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

PAGING: Final = ("cursor", "limit", "ordering")
_QUIET: Final = frozenset({"format"})  # the framework reads it: JSON or a 404


def filters_of(view: Any) -> list[str]:
    """The names `view` can be filtered by."""
    filterset = getattr(view, "filterset_class", None)
    return list(filterset.base_filters) if filterset else []


def refuse_unknown(request: Request, known: Collection[str]) -> None:
    """Raise ValidationError, by name, for every query parameter that is none of `known`."""
    unknown = [name for name in request.query_params if name not in known and name not in _QUIET]
    if unknown:
        sentence = f"There is no such parameter; there are: {', '.join(known)}." if known else "None is taken here."
        raise ValidationError({name or "(no name)": [sentence] for name in unknown})
