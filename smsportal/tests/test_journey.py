"""The whole road on one page: a file of students comes in, and what became of every text is known. Read this first."""

from __future__ import annotations

from collections import Counter

import pytest

from contacts import importing, sync
from contacts.models import Contact, ImportRow, PhoneNumber
from messaging import addresses, controls
from messaging.conversations import thread
from messaging.models import Batch, Conversation, WebhookItem
from messaging.statuses import DELIVERY_WORDS, BatchState
from messaging.tasks import drain_all
from smsportal.tests.world import make_list, make_user

FILE = """\
Mobile,First name,Last name,E-mail,Advisor
(312) 555-0101,Zoë,Ångström,zoe@example.edu,Dr. Kim
312.555.0102,Bo 🎓,Lee,,Dr. Kim
+1 312 555 0101,Zoe,Angstrom,zoe2@example.edu,
312-555-HELP,Max,Hall,,
,Ana,Ruiz,,
312-555-0103,Early,Bird,,
312-555-0150,Carrier,Block,,
312-555-0156,Writes,Stop,,
312-555-0159,Refused,There,,
"""


@pytest.mark.django_db(transaction=True)
def test_from_a_file_of_students_to_known_deliveries(twin, settings):
    settings.QUIET_HOURS = ""
    ana = make_user("ana")
    students = make_list("Fall freshmen")
    students.own_fields.create(name="Advisor", display_name="Advisor")
    address = addresses.new_endpoint(students.account)
    twin.ocelot.hooks.urls.update(sms=address, opt=address)

    # ① A file is staged and checked; the list is untouched until somebody applies the good rows.
    upload = importing.receive(students, file_name="students.csv", content=FILE.encode("cp1252", "xmlcharrefreplace"))
    drain_all()
    upload.refresh_from_db()
    assert (upload.rows, upload.new, upload.refused, upload.duplicates) == (9, 6, 2, 1)
    assert not Contact.objects.exists()
    refused = {row.number: row.errors[0]["code"] for row in ImportRow.objects.filter(state="refused")}
    assert refused == {5: "letters", 6: "blank"}
    importing.start_applying(upload, accept="good", actor=ana)
    drain_all()
    assert Contact.objects.filter(contact_list=students).count() == 6

    # ③ The plan says what will be written at Ocelot; only then is it written, and what Ocelot refuses is told.
    run = sync.plan(students, actor=ana)
    assert run.plan["append"] == 6
    sync.confirm(run, plan_hash=run.plan_hash, actor=ana)
    drain_all()
    run.refresh_from_db()
    assert (run.state, run.report["appended"], run.report["rejected"]) == ("finished", 5, 1)
    assert Contact.objects.get(number__e164="+13125550159").sync_error

    # ④ A personalised batch, previewed and sent by ⑤ through ⑥.
    batch = controls.create(
        actor=ana,
        unit=students.unit,
        account=students.account,
        sender="312-555-0190",
        operator="advising@example.edu",
        name="Welcome",
        lists=[students],
        text="Hi {{First_Name}}, your advisor is {{Advisor|still to be named}}. Reply STOP to opt out. Registrar",
    )
    controls.start(controls.submit(batch, actor=ana), actor=ana)
    drain_all()

    # ⑦ ⑧ ⑨ Receipts, a reply and an opt-out come back, some twice, and everything adds up.
    twin.settle()
    drain_all()
    batch = Batch.objects.get(pk=batch.pk)
    assert batch.state == BatchState.FINISHED
    assert batch.recipients == sum(batch.counts().values()) == batch.counts()["accepted"] == 6
    became = {message.number.e164: DELIVERY_WORDS[message.delivery] for message in batch.messages.all()}
    assert became.pop("+13125550150") == "failed"
    assert set(became.values()) == {"delivered"}
    assert Counter(text["e164"] for text in twin.ocelot.sent).most_common(1)[0][1] == 1
    texts = {text["e164"]: text["text"] for text in twin.ocelot.sent}
    assert texts["+13125550101"].startswith("Hi Zoë, your advisor is Dr. Kim.")
    assert "still to be named" in texts["+13125550156"]

    # A STOP and a block at the carrier are opt-outs that every later send obeys.
    opted_out = set(PhoneNumber.objects.filter(opted_out=True).values_list("e164", flat=True))
    assert opted_out == {"+13125550150", "+13125550156"}
    talk = Conversation.objects.get(number__e164="+13125550156")
    assert [line.text for line in thread(talk)][-1] == "STOP"
    assert not WebhookItem.objects.exclude(state="applied").exists()
    again = controls.create(
        actor=ana, unit=students.unit, account=students.account, sender="312-555-0190",
        operator="advising@example.edu", name="Reminder", lists=[students], text="Class begins on Monday. Registrar",
    )  # fmt: skip
    controls.start(controls.submit(again, actor=ana), actor=ana)
    drain_all()
    assert Batch.objects.get(pk=again.pk).waterfall["opted_out"] == 2
    assert opted_out.isdisjoint(text["e164"] for text in twin.ocelot.sent if text["text"].startswith("Class begins"))
