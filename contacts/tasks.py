"""What workers do for contacts: check and apply imports, carry syncs out. One thing a call; True when there was one."""

from __future__ import annotations

import logging

from contacts import importing, sync
from contacts.models import Import, ImportState

log = logging.getLogger(__name__)


def work_imports() -> bool:
    """Check or apply the next import."""
    held = importing.next_import()
    if held is None:
        return False
    upload = Import.objects.select_related("contact_list__account").get(pk=held.pk)
    if upload.fence != held.fence:
        return True
    try:
        (importing.apply if upload.state == ImportState.APPLYING else importing.check)(upload)
    except importing.Lost:
        log.warning("Import %s was taken over by another worker.", upload.uuid)
    return True


def work_syncs() -> bool:
    """Carry the next sync out, as far as it goes now."""
    held = sync.next_run()
    if held is None:
        return False
    sync.carry_out(held)
    return True
