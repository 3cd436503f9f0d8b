"""Every page of the admin opens, shows each role what it may see, costs the same whatever the number of rows."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from contacts import consent, importing, sync
from contacts.keeping import segments
from contacts.models import ConsentSource
from messaging import addresses, conversations, templating
from messaging.models import Alert, AlertKind, CallState, Holiday, Message, Sender, WebhookCall, WebhookItem
from messaging.statuses import MessageState
from messaging.tasks import drain_all
from smsportal import clock
from smsportal.accounts.models import ApiToken, ProviderAccount
from smsportal.tests.world import fiction, make_account, make_batch, make_contact, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
BANNER = "Sandbox: no real text is sent"
CSV = b"Phone Number,First Name\n312-555-0101,Bo\n312-555-HELP,Max\n"


def signed_in(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss():
    return make_user("boss", is_superuser=True)


@pytest.fixture
def full_house(twin, boss, settings):
    """At least one row of everything."""
    settings.QUIET_HOURS = ""
    batch = make_batch(fiction(3))
    contact_list = batch.lists.get()
    importing.receive(contact_list, file_name="more.csv", content=CSV, actor=boss)
    sync.plan(contact_list, actor=boss)
    conditions = [{"field": "First_Name", "test": "is_not_blank"}]
    segments.create_segment(contact_list=contact_list, name="Named", match="all", conditions=conditions)
    drain_all()
    twin.settle()
    Sender.objects.create(account=batch.account, address="+13125550190", label="Advising")
    templating.create_template(actor=boss, unit=batch.unit, name="Hello", text="Hello {{First_Name|there}}")
    ApiToken.objects.create(user=boss, name="Nightly feed", scopes=["lists:read"])
    addresses.new_endpoint(batch.account)
    message = batch.messages.select_related("number").first()
    consent.opt_out(message.number, source=ConsentSource.STAFF, actor=boss, reason="asked")
    call = WebhookCall.objects.create(
        account=batch.account, sha256="1" * 64, body=b'[{"status": "?"}]', state=CallState.DONE
    )
    item = WebhookItem.objects.create(
        call=call, account=batch.account, position=0, kind="reply", key="k", sha256="2" * 64, raw={"text": "Thanks"}
    )
    conversations.note_reply(
        account_id=batch.account_id, number=message.number, text="Thanks", at=clock.now(), item=item
    )
    Holiday.objects.create(day="2026-12-24", name="Days between the years")
    Alert.objects.create(unit=batch.unit, batch=batch, kind=AlertKind.FAILURES, text="Half of them failed. Look why.")
    return batch


def address(model, page: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_every_list_add_and_change_page_opens_for_a_superuser(full_house, boss):
    client = signed_in(boss)
    for model in MODELS:
        assert client.get(address(model, "changelist")).status_code == 200, model
        row = model._default_manager.first()
        assert row is not None, f"the fixture lacks a {model}"
        page = client.get(address(model, "change", row.pk))
        assert page.status_code == 200, model
        assert BANNER in page.text
        if admin.site._registry[model].has_add_permission(page.wsgi_request):
            assert client.get(address(model, "add"), follow=True).status_code == 200, model


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_an_empty_list_says_what_to_do_next(model, boss):
    page = signed_in(boss).get(address(model, "changelist")).text
    kept = admin.site._registry[model]
    assert not model._default_manager.exists() or kept.intro[:30] in page
    if not model._default_manager.exists():
        assert kept.empty_title.replace("’", "&#x27;") in page
        assert kept.empty_text, f"{model} says nothing when it is empty"


def test_searching_finds_nothing_without_failing(full_house, boss):
    client = signed_in(boss)
    for model in MODELS:
        for term in ("zzzz", "(312) 555-0199", "%'\"\\"):
            assert client.get(address(model, "changelist"), {"q": term}).status_code == 200, model


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_nobody_sees_a_page_without_signing_in(model):
    answer = Client().get(address(model, "changelist"))
    assert answer.status_code == 302
    assert answer.url.startswith("/admin/login/")


ROLE_PAGES = {
    "Viewer": {"contactlist", "segment", "contact", "import", "syncrun", "phonenumber", "consentevent", "batch", "message", "alert",
               "holiday", "template", "sender", "conversation", "provideraccount", "unit"},
    "List manager": {"contactlist", "segment", "contact", "import", "syncrun", "phonenumber", "consentevent", "batch", "message", "alert",
                     "holiday", "template", "sender", "conversation", "provideraccount", "unit"},
    "Administrator": {"user", "unit", "apitoken", "provideraccount", "group", "sender", "holiday", "webhookendpoint",
                      "webhookcall", "webhookitem"},
}  # fmt: skip


@pytest.mark.parametrize("role", ROLE_PAGES)
def test_a_role_opens_its_own_lists_and_no_others(role):
    client = signed_in(make_user(groups=(role,)))
    opened = {model._meta.model_name for model in MODELS if client.get(address(model, "changelist")).status_code == 200}
    assert opened == ROLE_PAGES[role]
    side = client.get("/admin/").text
    for model in MODELS:
        assert (f'href="{address(model, "changelist")}"' in side) == (model._meta.model_name in opened), model


def test_people_see_only_the_rows_of_their_units(full_house):
    stranger = signed_in(make_user("hal", units=[make_unit("Housing")], groups=("List manager", "Sender")))
    for path in ("contacts/contactlist", "contacts/segment", "contacts/contact", "contacts/import", "messaging/batch", "messaging/message",
                 "messaging/template", "messaging/conversation"):  # fmt: skip
        page = stranger.get(f"/admin/{path}/").text
        assert "Class moved" not in page
        assert "Fall freshmen" not in page
    other = stranger.get(address(type(full_house), "change", full_house.pk), follow=True)
    assert "belongs to a unit that is not yours" in other.text
    assert stranger.post(address(type(full_house), "do", full_house.pk, "cancel")).status_code == 302
    full_house.refresh_from_db()
    assert full_house.state != "cancelled"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ([{"is_sandbox": True}], True),
        ([{"is_sandbox": True}, {"is_sandbox": False, "is_active": False}], True),
        ([{"is_sandbox": True}, {"is_sandbox": False}], False),
    ],
)
def test_the_banner_is_on_every_page_while_all_active_accounts_are_sandboxes(given, shown, boss):
    for number, columns in enumerate(given):
        make_account(f"account{number}", **columns)
    client = signed_in(boss)
    pages = [
        Client().get("/admin/login/"),
        *(client.get(path, follow=True) for path in ("/admin/", "/admin/messaging/batch/add/")),
    ]
    for page in pages:
        assert (BANNER in page.text) is shown
        assert ('role="status"' in page.text) or not shown


def queries_of(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert client.get(path).status_code == 200
    return len(seen)


@pytest.mark.parametrize(
    "path", ["contacts/contact", "contacts/phonenumber", "contacts/contactlist", "messaging/message"]
)
def test_a_list_costs_the_same_queries_with_many_rows(path, boss):
    client = signed_in(boss)
    batch = make_batch(fiction(2))
    few = queries_of(client, f"/admin/{path}/")
    for place, number in enumerate(fiction(20, start=10)):
        contact = make_contact(batch.lists.get(), number, last=f"Park {place}")
        make_list(f"List {place}")
        Message.objects.create(batch=batch, contact=contact, number=contact.number, text="x", state=MessageState.READY)
    assert queries_of(client, f"/admin/{path}/") == few


def test_a_deed_is_never_done_by_looking(full_house, boss):
    account = full_house.account
    ProviderAccount.objects.filter(pk=account.pk).update(circuit_open=True, circuit_reason="wrong key")
    url = address(ProviderAccount, "do", account.pk, "close_circuit")
    page = signed_in(boss).get(url)
    assert "wrong key" in page.text
    account.refresh_from_db()
    assert account.circuit_open
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(boss)
    assert guarded.post(url).status_code == 403
    signed_in(boss).post(url)
    account.refresh_from_db()
    assert not account.circuit_open


def test_secrets_go_in_and_never_come_out(boss):
    account = make_account()
    client = signed_in(boss)
    url = address(ProviderAccount, "change", account.pk)
    page = client.get(url)
    assert "Ocelot API key" in page.text
    assert "sandbox-key" not in page.text
    form = {"provider": "ocelot", "name": "Ocelot", "slug": "ocelot", "base_url": account.base_url, "options": "{}",
            "is_active": "on", "operator": "", "secret_api_key": "another-key", "secret_chatbot_uuid": ""}  # fmt: skip
    assert client.post(url, form).status_code == 302
    account.refresh_from_db()
    assert account.secrets["api_key"] == "another-key"
    assert account.secrets["chatbot_uuid"].startswith("964783cd")


@pytest.mark.parametrize(
    ("key", "said"), [("sandbox-key", "answers, and takes"), ("wrong", "did not answer as it should")]
)
def test_the_connection_is_checked_and_told(key, said, boss, twin):
    account = make_account(secrets={"chatbot_uuid": "964783cd-c648-4628-8262-55dac3831d8f", "api_key": key})
    page = signed_in(boss).post(address(ProviderAccount, "do", account.pk, "check_connection"), follow=True)
    assert said in page.text


def test_a_token_is_shown_once_and_can_be_withdrawn(boss):
    client = signed_in(boss)
    form = {"user": boss.pk, "name": "Nightly feed", "scopes": ["lists:read"]}
    page = client.post(address(ApiToken, "add"), form, follow=True).text
    token = ApiToken.objects.get()
    assert token.scopes == ["lists:read"]
    assert f"smsp_{token.token_key.removeprefix('smsp_')}" in page
    assert "smsp_" not in client.get(address(ApiToken, "changelist")).text.replace(f"{token.token_key}…", "")
    client.post(address(ApiToken, "do", token.pk, "withdraw"))
    assert not ApiToken.objects.exists()


def test_nobody_but_a_superuser_makes_superusers(boss):
    client = signed_in(make_user("ann", groups=("Administrator",)))
    assert client.get(address(type(boss), "change", boss.pk)).status_code == 200  # to be looked at only
    other = make_user("other")
    client.post(address(type(boss), "change", other.pk), {"username": "other", "is_superuser": "on", "is_active": "on"})
    other.refresh_from_db()
    assert not other.is_superuser
    assert client.post(address(type(boss), "change", boss.pk), {"username": "x"}).status_code == 403


def test_the_first_page_tells_what_needs_attention_and_the_first_steps(boss, full_house):
    Message.objects.filter(batch=full_house).update(state=MessageState.UNKNOWN)
    page = signed_in(boss).get("/admin/").text
    assert "<b>3</b> texts are unknown" in page
    assert "<b>1</b> person waits for an answer" in page
    assert "First steps" not in page


def test_the_first_page_of_a_fresh_portal_shows_the_first_steps(boss):
    page = signed_in(boss).get("/admin/").text
    assert "First steps" in page
    assert "Nothing. All texts are accounted for" in page
    assert "SMS portal" in page


def test_a_refusal_and_a_wrong_address_say_what_to_do(boss):
    client = signed_in(make_user("vic", groups=("Viewer",)))
    assert "Ask an administrator" in client.get("/admin/accounts/user/").text
    assert "Go to the first page" in client.get("/nowhere/").text
