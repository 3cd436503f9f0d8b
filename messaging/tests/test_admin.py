"""Batch → preview → start → watch, replies, reports and unknown texts, as staff do them in the admin."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from contacts import consent
from messaging import templating
from messaging.models import (
    Batch,
    CallState,
    Conversation,
    Message,
    Sender,
    Template,
    Turn,
    WebhookCall,
    WebhookEndpoint,
)
from messaging.statuses import BatchState, MessageState
from messaging.tasks import drain_all
from smsportal import clock
from smsportal.providers.base import Delivery
from smsportal.tests.world import fiction, make_account, make_batch, make_contact, make_list, make_number, make_user

pytestmark = pytest.mark.django_db

TEXT = "Hello {{First_Name|there}}, Registrar here. Reply STOP to opt out."


@pytest.fixture(autouse=True)
def _any_hour(settings):
    settings.QUIET_HOURS = ""
    settings.UNDO_SECONDS = 0
    cache.clear()


@pytest.fixture
def mia():
    return make_user("mia", groups=("Sender",))


@pytest.fixture
def client(mia):
    return signed_in(mia)


def signed_in(user) -> Client:
    made = Client()
    made.force_login(user)
    return made


def url(page: str, *args) -> str:
    return reverse(f"admin:messaging_{page}", args=args)


def sender() -> Sender:
    return Sender.objects.get_or_create(account=make_account(), address="+13125550190", defaults={"label": "Advising"})[
        0
    ]


def form_for(contact_list, **more):
    given = {"name": "Welcome", "unit": contact_list.unit_id, "lists": [contact_list.pk], "template": "", "text": TEXT}
    return {**given, "sender": sender().pk, "operator": "", "send_at": "", **more}


@pytest.fixture
def contact_list():
    made = make_list()
    for place, number in enumerate(fiction(3)):
        make_contact(made, number, first=f"Student {place}")
    return made


@pytest.fixture
def draft(client, contact_list):
    client.post(url("batch_add"), form_for(contact_list))
    return Batch.objects.get()


# --- compose and preview --------------------------------------------------------------------------------------------
def test_the_compose_form_offers_the_fields_of_the_lists(client, contact_list):
    contact_list.own_fields.create(name="Advisor", display_name="Advisor")
    page = client.get(url("batch_add"), {"lists": contact_list.pk}, follow=True).text
    assert "{{Advisor}}" in page
    assert "checked" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "This field is required"),
        ({"lists": []}, "Choose at least one list"),
        ({"text": ""}, "Write a text, or choose a template"),
        ({"text": "Hi {{Advisr}}"}, "Advisr"),
        ({"text": "Hi {{First_Name"}, "First_Name"),
        ({"sender": ""}, "Choose the number people see"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_kept(client, contact_list, change, said):
    page = client.post(url("batch_add"), form_for(contact_list, **change)).text
    assert said in page
    assert "has-errors" in page
    assert not Batch.objects.exists()


def test_the_preview_sums_and_shows_real_people(client, contact_list, draft):
    consent.opt_out(contact_list.contacts.first().number, source="staff", reason="asked")
    page = client.get(url("batch_change", draft.pk)).text
    assert "Left out: opted out" in page
    assert "Hello Student 1, Registrar here." in page
    assert draft.state == BatchState.DRAFT


def test_a_draft_is_edited_with_a_template(client, draft, mia):
    template = templating.create_template(actor=mia, unit=draft.unit, name="Hello", text="Registrar says hello. STOP")
    page = client.get(url("batch_edit", draft.pk)).text
    assert TEXT in page
    changed = form_for(draft.lists.get(), name="Renamed", text="", template=template.pk)
    client.post(url("batch_edit", draft.pk), changed)
    draft.refresh_from_db()
    assert (draft.name, draft.text, draft.revision) == ("Renamed", "Registrar says hello. STOP", 2)


# --- start and watch ------------------------------------------------------------------------------------------------
def test_a_batch_is_submitted_started_watched_and_arrives(client, draft, twin):
    client.post(url("batch_do", draft.pk, "submit"))
    assert "3 texts leave at once from (312) 555-0190" in client.get(url("batch_do", draft.pk, "start")).text
    assert not twin.ocelot.sent
    client.post(url("batch_do", draft.pk, "start"))
    page = client.get(url("batch_change", draft.pk)).text
    assert '<noscript><meta http-equiv="refresh"' in page
    drain_all()
    twin.settle()
    drain_all()
    news = client.get(url("batch_numbers", draft.pk)).json()
    assert (news["total"], news["arrived"], news["waiting"], news["state"]) == (3, 3, 0, "finished")
    assert sum(count for _, _, count in news["states"]) == news["total"]
    assert news["bar"]["arrived"] == 100
    assert "It arrived." in client.get(url("batch_change", draft.pk)).text


def test_a_large_batch_needs_a_colleague_and_a_typed_count(client, draft, settings, mia):
    settings.APPROVAL_ABOVE = 2
    mia.groups.add(*make_user("both", groups=("Approver",)).groups.all())
    client.post(url("batch_do", draft.pk, "submit"))
    own = client.get(url("batch_change", draft.pk)).text
    assert "Nobody approves their own" in own
    assert url("batch_do", draft.pk, "approve") not in own
    assert "Nobody approves" in client.post(url("batch_do", draft.pk, "approve"), follow=True).text
    colleague = signed_in(make_user("ann", groups=("Approver",)))
    colleague.post(url("batch_do", draft.pk, "approve"))
    refused = client.post(url("batch_do", draft.pk, "start"), {"count": "30"})
    assert "Type exactly that number" in refused.text
    client.post(url("batch_do", draft.pk, "start"), {"count": "3"})
    draft.refresh_from_db()
    assert draft.state == BatchState.EXPANDING


def test_pausing_resuming_and_cancelling_say_what_happens(client):
    batch = make_batch(fiction(3))
    client.post(url("batch_do", batch.pk, "pause"))
    assert "3 texts still wait" in client.get(url("batch_do", batch.pk, "resume")).text
    client.post(url("batch_do", batch.pk, "resume"))
    question = client.get(url("batch_do", batch.pk, "cancel")).text
    assert "3 texts that wait are not sent" in question
    client.post(url("batch_do", batch.pk, "cancel"))
    batch.refresh_from_db()
    assert batch.state == BatchState.CANCELLED
    page = client.get(url("batch_change", batch.pk)).text
    assert "The batch was cancelled" in page


def test_a_click_too_late_is_told_in_a_sentence(client, draft):
    page = client.post(url("batch_do", draft.pk, "pause"), follow=True).text
    assert "Cannot pause" in page


def test_what_failed_is_told_in_plain_words_and_sent_again(client, twin):
    batch = make_batch(["+13125550151", "+13125550101"])
    drain_all()
    twin.settle()
    drain_all()
    page = client.get(url("batch_change", batch.pk)).text
    assert "The number is a landline" in page
    asked = client.get(url("batch_do", batch.pk, "retry_failed")).text
    assert "1 text was refused or did not arrive" in asked
    assert "Sending it again makes no sense, so it is not chosen" in asked
    assert "checked" not in asked.split('id="id_classes"')[1].split("</fieldset>")[0]
    assert "Choose at least one reason" in client.post(url("batch_do", batch.pk, "retry_failed")).text
    client.post(
        url("batch_do", batch.pk, "retry_failed"),
        {"classes": "code-" + batch.messages.exclude(error_code="").get().error_code},
    )
    batch.refresh_from_db()
    assert batch.state == BatchState.RUNNING


# --- messages -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "delivery", "reason", "said"),
    [
        ("ready", 0, "", "It waits for its turn"),
        ("held", 0, "quiet_hours", "held back until quiet hours or a holiday end"),
        ("accepted", 0, "", "No report has come yet"),
        ("accepted", Delivery.DELIVERED, "", "It arrived."),
        ("accepted", Delivery.FAILED, "", "It did not arrive."),
        ("skipped", 0, "opted_out", "because the person opted out"),
        ("rejected", 0, "refused", "The provider refused it"),
        ("unknown", 0, "", "Nobody knows whether it was sent"),
        ("written_off", 0, "", "Staff closed it"),
    ],
)
def test_every_message_says_what_became_of_it_in_a_sentence(client, state, delivery, reason, said):
    message = make_batch(fiction(1)).messages.get()
    Message.objects.filter(pk=message.pk).update(state=state, delivery=delivery, reason=reason)
    assert said in client.get(url("message_change", message.pk)).text


@pytest.mark.parametrize(
    ("state", "said"), [("accepted", "text twice"), ("unknown", "perhaps twice"), ("rejected", "got the text once")]
)
def test_an_earlier_try_that_was_sent_is_told_as_it_is(client, state, said):
    message = make_batch(fiction(1)).messages.get()
    Message.objects.filter(pk=message.pk).update(state=state, attempt=2, double_send=True)
    assert said in client.get(url("message_change", message.pk)).text


def test_an_unknown_text_is_closed_or_sent_again_by_somebody_else(client):
    batch = make_batch(fiction(2))
    batch.messages.update(state=MessageState.UNKNOWN)
    first, second = batch.messages.all()
    assert "Some texts are unknown" in client.get(url("batch_change", batch.pk)).text
    client.post(url("message_do", first.pk, "write_off"))
    assert client.post(url("message_do", second.pk, "send_again")).status_code == 403
    approver = signed_in(make_user("ann", groups=("Approver",)))
    assert "gets it twice" in approver.get(url("message_do", second.pk, "send_again")).text
    approver.post(url("message_do", second.pk, "send_again"))
    assert [each.state for each in batch.messages.all()] == ["written_off", "ready"]


def test_one_person_is_written_to(client, twin):
    form = {"to": "(312) 555-0101", "text": "Your card is ready. Registrar", "sender": sender().pk, "operator": ""}
    client.post(url("message_write"), form)
    drain_all()
    assert [each["e164"] for each in twin.ocelot.sent] == ["+13125550101"]
    consent.opt_out(make_number("+13125550102"), source="staff", reason="asked")
    assert "opted out" in client.post(url("message_write"), {**form, "to": "312 555 0102"}).text


# --- replies --------------------------------------------------------------------------------------------------------
@pytest.fixture
def conversation(twin):
    batch = make_batch(["+13125550101"])
    drain_all()
    made = Conversation.objects.create(account=batch.account, number=make_number("+13125550101"), needs_attention=True)
    Turn.objects.create(conversation=made, text="When?", at=clock.now())
    return made


def test_a_reply_is_read_and_answered(client, conversation, twin):
    page = client.get(url("conversation_change", conversation.pk)).text
    assert "When?" in page
    assert "Dear Student 0" in page
    client.post(url("conversation_change", conversation.pk), {"text": "On Monday."})
    drain_all()
    assert twin.ocelot.sent[-1]["text"] == "On Monday."
    conversation.refresh_from_db()
    assert not conversation.needs_attention


def test_who_opted_out_cannot_be_answered(client, conversation):
    consent.opt_out(conversation.number, source="reply")
    page = client.get(url("conversation_change", conversation.pk)).text
    assert "no answer can be sent" in page
    assert 'name="text"' not in page
    assert "opted out" in client.post(url("conversation_change", conversation.pk), {"text": "x"}, follow=True).text


def test_the_provider_shows_its_own_transcript(client, conversation):
    page = client.get(url("conversation_transcript", conversation.pk), follow=True).text
    assert "Dear Student 0" in page
    assert "From us" in page


def test_a_reply_that_needs_no_answer_is_put_to_rest(client, conversation):
    client.post(url("conversation_do", conversation.pk, "rest"))
    conversation.refresh_from_db()
    assert not conversation.needs_attention


# --- templates, senders, reports ------------------------------------------------------------------------------------
def test_a_new_wording_is_a_new_version(client, mia):
    client.post(url("template_add"), {"name": "Hello", "unit": mia.home().pk, "text": "Hello {{First_Name}}"})
    template = Template.objects.get()
    client.post(url("template_change", template.pk), {"name": "Hello", "text": "Hi {{First_Name}}", "version": 1})
    page = client.get(url("template_change", template.pk)).text
    assert "Version 2" in page
    assert "Hello {{First_Name}}" in page
    late = client.post(url("template_change", template.pk), {"name": "Hello", "text": "Hey", "version": 1})
    assert "was changed meanwhile" in late.text


def test_the_provider_is_asked_for_its_numbers(client, twin):
    page = client.post(url("sender_refresh"), {"account": make_account().pk, "operator": ""}, follow=True).text
    assert f"lends us {Sender.objects.count()} numbers" in page
    assert "(312) 555-0190" in page


def test_a_report_is_shown_as_it_came_and_processed_again():
    account = make_account()
    body = b'[{"status": "carrier_review", "messageUuid": "5f80ac62-04d2-4b00-a7f5-3139f531390a"}]'
    call = WebhookCall.objects.create(account=account, sha256="0" * 64, body=body, state=CallState.PARKED)
    boss = signed_in(make_user("boss", is_superuser=True))
    page = boss.get(url("webhookcall_change", call.pk)).text
    assert "&quot;status&quot;: &quot;carrier_review&quot;" in page
    assert "Processed again" in boss.post(url("webhookcall_do", call.pk, "replay"), follow=True).text


def test_an_address_for_reports_is_shown_once():
    boss = signed_in(make_user("boss", is_superuser=True))
    page = boss.post(url("webhookendpoint_new"), {"account": make_account().pk}).text
    assert "/hooks/ocelot/" in page
    endpoint = WebhookEndpoint.objects.get()
    assert "/hooks/ocelot/" not in boss.get(url("webhookendpoint_change", endpoint.pk)).text
    boss.post(url("webhookendpoint_do", endpoint.pk, "retire"))
    endpoint.refresh_from_db()
    assert endpoint.retired_at is not None


def test_who_may_only_look_cannot_move_a_batch(draft):
    viewer = signed_in(make_user("vic", groups=("Viewer",)))
    page = viewer.get(url("batch_change", draft.pk)).text
    assert url("batch_do", draft.pk, "submit") not in page
    assert viewer.post(url("batch_do", draft.pk, "submit")).status_code == 403
    assert viewer.get(url("batch_add")).status_code == 403
