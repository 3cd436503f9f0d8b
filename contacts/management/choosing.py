"""How commands are told which list is meant."""

from __future__ import annotations

from uuid import UUID

from contacts.models import ContactList
from smsportal.accounts.models import User
from smsportal.problems import Wrong


def choose_list(named: str, actor: User | None = None) -> ContactList:
    """The list with this id or exact name, of those `actor` may see; of all for None, who is at the console.

    Raises Wrong when there is none, or several accounts have one.
    """
    seen = ContactList.objects.visible_to(actor) if actor else ContactList.objects.all()
    try:
        found = seen.filter(uuid=UUID(named))
    except ValueError:
        found = seen.filter(name=named)
    lists = list(found.select_related("account")[:2])
    if len(lists) != 1:
        known = ", ".join(seen.values_list("name", flat=True)[:20]) or "none yet"
        which = "Several lists are" if lists else "No list is"
        raise Wrong(f"{which} called “{named}”; give the id or one of these names: {known}.")
    only: ContactList = lists[0]
    return only
