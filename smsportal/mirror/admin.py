"""What the admin shows of a row that has a counterpart at a provider: its sync columns and the provider's own record."""

from __future__ import annotations

import json
from typing import Any

from unfold.decorators import display

from smsportal.accounts.pages import PortalAdmin
from smsportal.accounts.parts import Fact
from smsportal.mirror.models import Mirrored, SyncState

TONES = {
    SyncState.NEVER: "",
    SyncState.PENDING: "info",
    SyncState.RUNNING: "info",
    SyncState.IN_STEP: "good",
    SyncState.DRIFTED: "warn",
    SyncState.ERROR: "bad",
}
_LABELS = {"good": "success", "warn": "warning", "bad": "danger", "info": "info", "": ""}


class MirroredAdmin(PortalAdmin):
    """The base of the admin of every mirrored model."""

    @display(
        description="At the provider",
        ordering="sync_state",
        label={SyncState(state).label: _LABELS[tone] for state, tone in TONES.items()},
    )
    def in_step(self, row: Mirrored) -> str:
        return SyncState(row.sync_state).label

    def sync_facts(self, row: Mirrored) -> list[Fact]:
        """How the row stands to its counterpart, for the top of its page."""
        found = [Fact("At the provider", SyncState(row.sync_state).label, TONES[SyncState(row.sync_state)])]
        if row.synced_at:
            found.append(Fact("Last compared", row.synced_at))
        if row.sync_error:
            found.append(Fact("What the provider said", row.sync_error, "bad"))
        if row.remote_id:
            found.append(Fact("Its id there", row.remote_id))
        return found


def as_pretty_json(value: Any) -> str:
    """A JSON value as people can read it; nothing for nothing."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) if value else ""
