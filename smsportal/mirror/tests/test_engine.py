"""Reading whole lists and adding in parts, against the twin and its faults."""

from __future__ import annotations

import pytest

from smsportal.mirror.engine import Adding, Incomplete, read_all
from smsportal.providers import open_account
from smsportal.providers.base import Account, RemoteContact, RemoteList
from smsportal.providers.errors import Missing, ProviderError, Throttled


@pytest.fixture
def ocelot(twin):
    keys = {"chatbot_uuid": "964783cd-c648-4628-8262-55dac3831d8f", "api_key": "sandbox-key"}
    return open_account(Account("ocelot", "ocelot", "http://twins.test/ocelot/api/v1", keys))


@pytest.fixture
def remote_id(ocelot):
    return ocelot.create_list(RemoteList("Fall")).remote_id


def people(count: int, first: int = 0) -> list[RemoteContact]:
    numbers = [f"+1312555{n % 50 + 100:04d}" if n < 50 else f"+1{312 + n}5550100" for n in range(first, first + count)]
    return [RemoteContact({"Phone_Number": ("PhoneNumber", number)}) for number in numbers]


class Ledger:
    """Notes what it is told, and that every contact is told once."""

    def __init__(self) -> None:
        self.begun: list[RemoteContact] = []
        self.stored: list[RemoteContact] = []
        self.rejected: list[tuple[RemoteContact, str]] = []

    def before(self, part):
        self.begun += part

    def after(self, stored, rejected):
        self.stored += stored
        self.rejected += [(each.contact, each.text) for each in rejected]


def add(ocelot, remote_id, contacts, **more) -> Ledger:
    ledger = Ledger()
    Adding(ocelot, remote_id, ledger.before, ledger.after, **more).run(contacts)
    assert len(ledger.stored) + len(ledger.rejected) == len(contacts)
    assert {id(each) for each in ledger.begun} == {id(each) for each in contacts}
    return ledger


def test_all_pages_are_read(ocelot, remote_id, twin):
    add(ocelot, remote_id, people(45))
    twin.ocelot.switches.page_max = 10
    beats = []
    assert len(read_all(ocelot, remote_id, lambda: beats.append(1))) == 45
    assert len(beats) == 5


def test_an_empty_list_reads_as_empty_and_a_missing_one_raises(ocelot, remote_id):
    assert read_all(ocelot, remote_id) == []
    with pytest.raises(Missing):
        read_all(ocelot, "0" * 24)


def test_a_list_that_changes_is_read_again_once(ocelot, remote_id, twin):
    add(ocelot, remote_id, people(30))
    twin.ocelot.switches.page_max = 10
    rows, handle, changes = twin.ocelot.lists[remote_id].contacts, twin.handle, [1]

    def meddle(request):
        answer = handle(request)
        if changes:
            changes.pop()
            rows.pop()
        return answer

    twin.handle = meddle
    assert len(read_all(ocelot, remote_id)) == 29
    changes.extend([1] * 99)
    with pytest.raises(Incomplete, match="plan again"):
        read_all(ocelot, remote_id)


def test_calls_are_halved_until_they_fit_and_stay_small(ocelot, remote_id, twin):
    twin.ocelot.switches.body_limit = 1000
    ledger = add(ocelot, remote_id, people(40), per_call=32)
    assert len(ledger.stored) == 40
    posts = [each for each in twin.requests if each.method == "POST"]
    assert [each.status for each in posts[1:]].count(413) <= 3


def test_a_contact_too_large_by_itself_is_rejected(ocelot, remote_id, twin):
    twin.ocelot.switches.body_limit = 300
    large = RemoteContact({"Phone_Number": ("PhoneNumber", "+13125550149"), "First_Name": ("FirstName", "x" * 400)})
    ledger = add(ocelot, remote_id, [*people(2), large])
    assert [contact for contact, _ in ledger.rejected] == [large]


def test_a_refused_call_is_cut_until_the_contact_at_fault_is_found(ocelot, remote_id, twin):
    handle = twin.handle

    def strict(request):
        if b"312-555-0105" in request.body:
            twin.faults.add("400", times=1)
        return handle(request)

    twin.handle = strict
    ledger = add(ocelot, remote_id, people(16))
    assert [contact.value("Phone_Number") for contact, _ in ledger.rejected] == ["+13125550105"]
    assert len(twin.ocelot.lists[remote_id].contacts) == 15


def test_a_list_that_refuses_everything_costs_few_calls(ocelot, remote_id, twin):
    twin.faults.add("400", on="contacts")
    before = len(twin.requests)
    ledger = add(ocelot, remote_id, people(64), per_call=8, bisects=10)
    assert len(ledger.rejected) == 64
    assert len(twin.requests) - before <= 30


def test_rejections_come_with_the_providers_words(ocelot, remote_id):
    add(ocelot, remote_id, people(3))
    ledger = add(ocelot, remote_id, people(4))
    assert len(ledger.stored) == 1
    assert ledger.rejected[0][1] == "Phone Number 312-555-0100 is not unique."


@pytest.mark.parametrize("kind", ["401", "500", "reset_after", "torn"])
def test_other_failures_are_passed_on(ocelot, remote_id, twin, kind):
    twin.faults.add(kind, on="contacts")
    with pytest.raises(ProviderError):
        add(ocelot, remote_id, people(3))
    twin.faults.clear()
    twin.faults.add("429", on="contacts", retry_after="60")
    with pytest.raises(Throttled):
        add(ocelot, remote_id, people(3))
