"""How the Ocelot twin decides what the documents leave open; each switch is one open question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Switches:
    """Changed by tests and on the sandbox's page, in force until changed again."""

    send_shape: str = "object"  # shape of the answer to a send: see shapes.SHAPES
    accept_e164: bool = False  # whether numbers may begin with +1
    zero_counts: bool = False  # total and rejected are 0 whatever happened, as in the documents' 201 sample
    unique_names: bool = False  # whether a second list of the same name is refused
    page_max: int = 100  # the largest page of contacts; a larger limit is answered with this one
    body_limit: int = 1024 * 1024  # bytes; above it 413
    reply_style: str = "webhook_api"  # or "campaign": which of the two documented variants tells of a reply
    replace_verb: str = "PUT"
    lookup_verbs: str = "POST GET"

    def change(self, given: Mapping[str, Any]) -> None:
        """Set the switches named in `given`, from JSON or a form; ValueError when one cannot hold its value."""
        for name, value in given.items():
            setattr(self, name, _read(type(getattr(self, name)), value))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _read(kind: type, value: Any) -> Any:
    if kind is bool:
        return value if isinstance(value, bool) else str(value).lower() in ("1", "true", "on", "yes")
    return kind(value)
