"""Taking an applied import back: only what it did, and only where nobody has changed the contact since."""

from __future__ import annotations

from contacts import keeping
from contacts.checking import CellError
from contacts.keeping import merging
from contacts.models import Contact, Import, ImportRow, RowState
from smsportal.sql import update_each
from smsportal.text import plural

SINCE = CellError("", "changed_since", "This contact was changed after the import, so it stays as it is.")


def revert(upload: Import) -> int:
    """Undo every row of `upload` that made or changed a contact; returns how many contacts were left alone.

    Call it in a transaction that holds the list's row.
    """
    kept, last = 0, 0
    done = upload.checked_rows.filter(state__in=[RowState.NEW, RowState.CHANGED]).order_by("number")
    while page := list(done.filter(number__gt=last).defer("cells")[: merging.PAGE]):
        last = page[-1].number
        held = merging.find_held(upload.contact_list, [row.e164 for row in page])
        ours = [(row, held[row.e164]) for row in page if row.e164 in held and _is_ours(row, held[row.e164])]
        keeping.remove_contacts(Contact.objects.filter(pk__in=[each.pk for row, each in ours if row.before is None]))
        merging.set_fields([(each.pk, row.before) for row, each in ours if row.before is not None])
        untouched = {row.pk for row, _ in ours}
        others = [row for row in page if row.pk not in untouched]
        update_each(ImportRow, ["errors"], [(row.pk, [SINCE.as_row()]) for row in others])
        kept += len(others)
    merging.mark_drifted(upload.contact_list)
    return kept


def left_alone(kept: int) -> str:
    """How many contacts were left alone, for people."""
    was = plural(kept, "contact was", "contacts were")
    return f"{was} changed after this import and {'stays as it is' if kept == 1 else 'stay as they are'}."


def _is_ours(row: ImportRow, held: merging.Held) -> bool:
    """Whether the contact still is what the row made of it."""
    return held.removed_at is None and held.fields() == {**(row.before or {}), **row.fields}
