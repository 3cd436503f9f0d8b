"""③ A list here and its counterpart at the provider become a plan, the plan becomes calls, and those a report.

`plan` only reads. `confirm` binds a person's yes to exactly that plan. A worker carries it out, in steps that may be
repeated: `stage` of the run says how far a destructive one came. "" → "creating" (the list is being made) → "" ;
"copied" (everything the provider held is stored in `backup`) → "emptied" (the replace call was answered) → refilled.

Next: messaging/composing/__init__.py
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from contacts.busy import BUSY, refuse_if_busy
from contacts.keeping import merging
from contacts.models import ContactList, SyncRun, SyncRunState
from contacts.sync.carrying import LEASE_S, Carrier, Lost
from contacts.sync.comparing import View, look, remote_contact
from contacts.sync.refilling import empty, keep_copy, refill
from smsportal import clock
from smsportal.accounts.models import User
from smsportal.claims import Claim, claim, free, let_go
from smsportal.mirror.engine import Incomplete
from smsportal.mirror.models import SyncState
from smsportal.problems import Conflict
from smsportal.providers.errors import Garbled, Missing, ProviderError, Refused, Sent, Throttled, Uncertain, Unreachable
from smsportal.text import clean, clean_json, plural

__all__ = ["BUSY", "carry_out", "confirm", "next_run", "plan"]

log = logging.getLogger(__name__)
GIVE_UP_AFTER = 10  # claims of a run that has not emptied anything; one that has is never given up
LONGEST_WAIT_S = 900
_LATER = (Unreachable, Throttled, Uncertain, Garbled)


class Outdated(Exception):
    """What would be done now is not what was confirmed."""


def plan(contact_list: ContactList, *, actor: User | None = None) -> SyncRun:
    """Compare the list with its counterpart and store what a sync would do; nothing is written at the provider.

    The run is `planned`, or `failed` with a sentence when the provider cannot be read completely. Earlier plans of the
    list become `stale`. Raises Conflict when the provider keeps no lists or a sync of this list is running.
    """
    provider = contact_list.account.at_provider()
    if not provider.abilities.mirrors_contacts:
        raise Conflict(f"{provider.title} keeps no contact lists; this list lives here only.")
    if contact_list.sync_runs.filter(state=SyncRunState.RUNNING).exists():
        raise Conflict("This list is being synced; wait until that has finished.")
    contact_list.sync_runs.filter(state=SyncRunState.PLANNED).update(state=SyncRunState.STALE)
    try:
        view = look(contact_list, provider)
    except (ProviderError, Incomplete) as failed:
        return SyncRun.objects.create(
            contact_list=contact_list,
            actor=actor,
            state=SyncRunState.FAILED,
            problem=clean(failed, 1000),
            finished_at=clock.now(),
        )
    if _differs(view):
        rows = ContactList.objects.filter(pk=contact_list.pk, sync_state=SyncState.IN_STEP)
        rows.update(sync_state=SyncState.DRIFTED)
    return SyncRun.objects.create(
        contact_list=contact_list,
        actor=actor,
        plan=clean_json({**view.plan.as_json(), "unknown_fields": list(view.unknown_fields)}),
        plan_hash=view.plan.hash,
    )


def _differs(view: View) -> bool:
    return len(view.plan.same) != max(len(view.ours), view.plan.there) or view.plan.list_changed or view.plan.create


def confirm(run: SyncRun, *, plan_hash: str, confirm: bool = False, actor: User | None = None) -> SyncRun:
    """Hand a planned run to a worker. Raises Conflict for another plan than this one, for a destructive one without
    `confirm`, while the list is in use, and above the share of removals SYNC_MAX_REMOVAL_PERCENT allows.
    """
    if run.state != SyncRunState.PLANNED:
        raise Conflict(f"This run is “{run.get_state_display()}”; plan again.", allowed=["plan"])
    if plan_hash != run.plan_hash:
        raise Conflict("This is not the plan you looked at; plan again.", allowed=["plan"])
    if run.plan["destructive"]:
        _refuse_removals(run)
        refuse_if_busy(run.contact_list)
        if not confirm:
            raise Conflict(
                "The provider cannot change or remove single contacts: this plan empties the list there and fills it "
                "again. A full copy is kept. Confirm it to go on.",
                allowed=["confirm"],
            )
    with transaction.atomic():
        columns = {"state": SyncRunState.RUNNING, "started_at": clock.now(), "updated_at": clock.now()}
        if actor is not None:
            columns["actor"] = actor
        merging.lock(run.contact_list)
        others = run.contact_list.sync_runs.filter(state=SyncRunState.RUNNING)
        mine = SyncRun.objects.filter(pk=run.pk, state=SyncRunState.PLANNED)
        if others.exists() or not mine.update(**columns):
            raise Conflict("A sync of this list is running; wait until it has finished and plan again.")
        ContactList.objects.filter(pk=run.contact_list_id).update(sync_state=SyncState.RUNNING, sync_error="")
    run.refresh_from_db()
    return run


def _refuse_removals(run: SyncRun) -> None:
    """One removal is always allowed: in a small list it is a large share."""
    removed, there = run.plan["delete"], run.plan["there"]
    if removed > 1 and removed * 100 > settings.SYNC_MAX_REMOVAL_PERCENT * there:
        raise Conflict(
            f"This plan removes {removed:,} of {there:,} contacts at the provider, more than "
            f"{settings.SYNC_MAX_REMOVAL_PERCENT} %. Check that the list here is whole; if it is meant, "
            "raise SYNC_MAX_REMOVAL_PERCENT."
        )


# --- the worker's part -----------------------------------------------------------------------------------------------
def next_run() -> Claim | None:
    """Claim the run that has waited longest and may go on now."""
    due = Q(retry_at=None) | Q(retry_at__lte=clock.now())
    return claim(SyncRun.objects.filter(free(), due, state=SyncRunState.RUNNING).order_by("id"), LEASE_S)


def carry_out(held: Claim) -> None:
    """Do what was confirmed, or go on where an earlier worker was stopped. Never raises for what a provider does.

    Ends `finished` with a report, `stale` when the plan no longer holds, `failed` with a sentence, or stays `running`
    with `retry_at` when the provider could not be reached.
    """
    run = SyncRun.objects.select_related("contact_list__account").get(pk=held.pk)
    carrier = Carrier(run, held, run.contact_list.account.at_provider())
    try:
        _steps(carrier)
    except Lost:
        log.warning("Sync run %s was taken over by another worker.", run.uuid)
    except Outdated:
        sentence = "The contacts here or at the provider changed since the plan was made; plan again."
        _end(carrier, SyncRunState.STALE, SyncState.DRIFTED, sentence)
    except Conflict as busy:
        _end(carrier, SyncRunState.FAILED, SyncState.DRIFTED, busy.detail)
    except (ProviderError, Incomplete) as failed:
        _after_failure(carrier, failed)


def _steps(carrier: Carrier) -> None:
    run = carrier.run
    if run.stage == "creating":
        raise Uncertain("")
    if run.stage == "":
        since = clock.now()
        view = look(carrier.contact_list, carrier.provider, carrier.beat)
        wanted = view.plan.destructive or run.plan["destructive"]
        if wanted and view.plan.hash != run.plan_hash:
            raise Outdated
        if wanted:
            refuse_if_busy(carrier.contact_list)
            keep_copy(carrier, view)
        else:
            _add(carrier, view)
            carrier.note_same(view, since)
            carrier.note_conflicts({key: view.theirs[key].fields for key in view.plan.conflict})
            carrier.forget(keep=set(view.theirs) | set(view.plan.append))
    if run.stage == "copied":
        empty(carrier)
    if run.stage == "emptied":
        refill(carrier)
    _finish(carrier)


def _add(carrier: Carrier, view: View) -> None:
    """The plan that empties nothing."""
    if view.plan.create:
        carrier.create()
    carrier.pull(view)
    schema = carrier.contact_list.schema()
    wanted = {key: remote_contact(view.ours[key].fields, schema) for key in view.plan.append}
    carrier.append(wanted)
    carrier.settle(wanted)


def _finish(carrier: Carrier) -> None:
    sums = carrier.sums()
    in_step = sums["in_step"] == sums["contacts"] and not carrier.unusable
    state = SyncState.IN_STEP if in_step else SyncState.DRIFTED
    problem = (
        f"{plural(sums['rejected'], 'contact was', 'contacts were')} not taken by the provider."
        if sums["rejected"]
        else ""
    )
    carrier.set_down(report=carrier.report(sums), finished_at=clock.now())
    _end(carrier, SyncRunState.FINISHED, state, problem)


def _end(carrier: Carrier, state: SyncRunState, list_state: SyncState, problem: str) -> None:
    """Give the run back for good, and say on the list how it stands."""
    columns = {"state": state, "finished_at": clock.now(), "retry_at": None, "updated_at": clock.now()}
    sentence = clean(problem, 1000)
    with transaction.atomic():
        if let_go(SyncRun, carrier.held, problem=sentence if state != SyncRunState.FINISHED else "", **columns):
            ContactList.objects.filter(pk=carrier.contact_list.pk).update(
                sync_state=list_state, sync_error=sentence, synced_at=clock.now(), updated_at=clock.now()
            )


def _after_failure(carrier: Carrier, failed: ProviderError | Incomplete) -> None:
    """Try again later what may help; a list that may be empty over there is never left alone."""
    run, sentence = carrier.run, str(failed)
    if run.stage == "creating":
        if isinstance(failed, ProviderError) and failed.sent is Sent.NO:
            carrier.set_down(stage="")
        else:
            sentence = (
                "It is not known whether the list was made at the provider: the answer did not arrive. Look there for an "
                f"empty list called “{carrier.contact_list}”, remove it, and plan again."
            )
            _end(carrier, SyncRunState.FAILED, SyncState.ERROR, sentence)
            return
    hollow = run.stage in ("copied", "emptied") and not isinstance(failed, Missing | Refused)
    if hollow or (isinstance(failed, _LATER) and carrier.held.fence < GIVE_UP_AFTER):
        asked = failed.retry_after_s if isinstance(failed, ProviderError) else None
        wait = min(LONGEST_WAIT_S, max(asked or 0, 15 * 2 ** min(carrier.held.fence - 1, 6)))
        let_go(SyncRun, carrier.held, retry_at=clock.after(wait), problem=clean(sentence, 1000))
        return
    if isinstance(failed, Missing) and run.stage:
        sentence = f"The list is no longer at the provider ({sentence}); plan again, and it is made anew."
    _end(carrier, SyncRunState.FAILED, SyncState.ERROR, sentence)
