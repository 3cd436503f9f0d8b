"""The two commands of contacts: the same verbs, the same result, exit code 1 on refusal."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from contacts.tests.syncing import change, fill, synced, there
from smsportal.tests.world import make_account, make_list

pytestmark = pytest.mark.django_db


@pytest.fixture
def sheet(tmp_path):
    path = tmp_path / "fall.csv"
    path.write_text("Mobile,First name\n312-555-0100,Ada\n555,Zoe\n")
    return path


def run(capsys, *args: object) -> dict:
    call_command(*map(str, args))
    return json.loads(capsys.readouterr().out)


def test_a_file_is_checked_and_applied_when_asked(capsys, sheet):
    contact_list = make_list()
    shown = run(capsys, "import_contacts", "Fall freshmen", sheet)
    assert (shown["state"], shown["new"], shown["refused"]) == ("checked", 1, 1)
    assert list(shown["first_errors"]) == ["3"]
    assert not contact_list.contacts.exists()
    shown = run(capsys, "import_contacts", contact_list.uuid, sheet, "--apply", "good")
    assert (shown["state"], contact_list.contacts.count()) == ("applied", 1)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["Nobody's list"], "No list is called"),
        (["Fall freshmen", "--apply", "all_or_nothing"], "1 rows have errors"),
        (["Fall freshmen", "--mapping", "not json"], "Expecting value"),
        (["Fall freshmen", "--mapping", '{"Mobile": ""}'], "No column holds the phone number"),
        (["Fall freshmen", "--mapping", '{"Mobile": "Cell"}'], "no field “Cell”"),
        (["Twice"], "Several lists are"),
    ],
)
def test_a_refusal_is_exit_code_one_with_its_sentence(sheet, args, sentence):
    make_list()
    make_list("Twice")
    make_list("Twice", account=make_account("other"))
    with pytest.raises(CommandError, match=sentence):
        call_command("import_contacts", args[0], str(sheet), *args[1:])
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_contacts", "Fall freshmen", "nowhere.csv")


def test_a_list_is_planned_and_synced(capsys, twin):
    contact_list = make_list()
    fill(contact_list, 0, 1)
    shown = run(capsys, "sync_contacts", "Fall freshmen")
    assert (shown["state"], shown["plan"]["append"], shown["report"]) == ("planned", 2, None)
    shown = run(capsys, "sync_contacts", "Fall freshmen", "--apply")
    assert (shown["state"], shown["report"]["appended"]) == ("finished", 2)
    assert len(there(twin, contact_list)) == 2


def test_a_destructive_sync_asks_for_confirmation(capsys, twin):
    contact_list = make_list()
    fill(contact_list, 0, 1)
    synced(contact_list)
    change(contact_list, 1, "Changed")
    with pytest.raises(CommandError, match="empties the list"):
        call_command("sync_contacts", "Fall freshmen", "--apply")
    assert run(capsys, "sync_contacts", "Fall freshmen", "--apply", "--confirm")["state"] == "finished"
    assert there(twin, contact_list)["312-555-0101"] == "Changed"


def test_a_provider_that_cannot_be_read_is_exit_code_one(twin, capsys):
    contact_list = make_list()
    synced(contact_list)
    twin.faults.add("401")
    with pytest.raises(CommandError):
        call_command("sync_contacts", "Fall freshmen")
    assert json.loads(capsys.readouterr().out)["state"] == "failed"
