"""What every API call promises: who is let in, how pages follow each other, how it refuses."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError
from rest_framework.test import APIClient

from contacts.models import ContactList
from smsportal import clock
from smsportal.accounts.models import ApiToken
from smsportal.tests.programs import API, make_token, person, program
from smsportal.tests.world import make_account, make_contact, make_list, make_unit, make_user

pytestmark = pytest.mark.django_db


# --- who is let in ---------------------------------------------------------------------------------------------------
def test_without_a_token_or_session_the_answer_is_401_and_says_how():
    answer = APIClient().get(f"{API}contact-lists/")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == 401


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Bearer x", "Bearer smsp_" + "0" * 64, "Bearer smsp_ü", "Bearer a b", "Bearer " + "9" * 5000],
)
def test_a_wrong_token_is_401(header):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)
    assert client.get(f"{API}contact-lists/").status_code == 401


def test_an_expired_token_is_401_and_stays_to_be_seen():
    user = make_user(is_superuser=True)
    token = make_token(user, expiry=timedelta(days=-1))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert client.get(f"{API}contact-lists/").status_code == 401
    assert ApiToken.objects.count() == 1


def test_a_disabled_persons_token_is_401():
    user = make_user(is_superuser=True)
    client = program(user)
    user.is_active = False
    user.save()
    assert client.get(f"{API}contact-lists/").status_code == 401


def test_only_a_hash_of_the_token_is_stored():
    token = make_token(make_user())
    row = ApiToken.objects.values().get()
    assert token not in str(row)
    assert row["digest"] != token[5:]


def test_the_use_of_a_token_is_noted_at_most_once_a_minute(django_assert_num_queries):
    client = program()
    client.get(f"{API}provider-accounts/")
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    client.get(f"{API}provider-accounts/")
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=clock.after(-61))
    client.get(f"{API}provider-accounts/")
    assert ApiToken.objects.get().last_used_at >= first


def test_a_token_does_no_more_than_its_scopes():
    user = make_user(is_superuser=True)
    reader = program(user, "lists:read")
    assert reader.get(f"{API}contact-lists/").status_code == 200
    refused = reader.post(f"{API}contact-lists/", {"name": "New"})
    assert refused.status_code == 403
    assert "lists:write" in refused.json()["detail"]
    assert reader.get(f"{API}batches/").status_code == 403


def test_a_token_does_no_more_than_its_person():
    viewer = program(make_user(groups=("Viewer",)), "all")
    assert viewer.get(f"{API}contact-lists/").status_code == 200
    refused = viewer.post(f"{API}contact-lists/", {"name": "New"})
    assert refused.status_code == 403
    assert "contacts.add_contactlist" in refused.json()["detail"]


def test_a_session_needs_the_csrf_token_to_write():
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(make_user(is_superuser=True))
    assert client.get(f"{API}contact-lists/").status_code == 200
    assert client.post(f"{API}contact-lists/", {"name": "New"}).status_code == 403


def test_answers_are_not_cached():
    assert program().get(f"{API}contact-lists/")["Cache-Control"] == "no-store"


# --- tokens ----------------------------------------------------------------------------------------------------------
def test_create_token_prints_a_token_that_works_once():
    make_user("robot", groups=("Viewer",))
    out = io.StringIO()
    call_command("create_token", "robot", "--name", "SIS", "--scope", "lists:read", "--days", "30", stdout=out)
    token = out.getvalue().strip()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert client.get(f"{API}contact-lists/").status_code == 200
    made = ApiToken.objects.get()
    assert (made.name, made.scopes) == ("SIS", ["lists:read"])
    assert timedelta(days=29) < made.expiry - clock.now() <= timedelta(days=30)


@pytest.mark.parametrize(
    ("user", "more"),
    [("nobody", ["--scope", "all"]), ("sam", ["--scope", "world:rule"]), ("sam", ["--scope", "all", "--days", "366"])],
)
def test_create_token_refuses_what_makes_no_sense(user, more):
    make_user("sam")
    with pytest.raises(CommandError):
        call_command("create_token", user, "--name", "x", *more)
    assert not ApiToken.objects.exists()


def test_people_see_and_revoke_their_own_tokens_only():
    mine, other = make_user("mine"), make_user("other")
    client = program(mine)
    make_token(other)
    rows = client.get(f"{API}tokens/").json()["results"]
    assert [row["user"] for row in rows] == ["mine"]
    foreign = ApiToken.objects.get(user=other)
    assert client.delete(f"{API}tokens/{foreign.uuid}/").status_code == 404
    assert client.delete(f"{API}tokens/{rows[0]['id']}/").status_code == 204
    assert client.get(f"{API}tokens/").status_code == 401


def test_administrators_revoke_anybodys_token():
    make_token(make_user("other"))
    token = ApiToken.objects.get()
    assert person("Administrator").delete(f"{API}tokens/{token.uuid}/").status_code == 204


def test_no_answer_about_tokens_can_be_used_as_one():
    client = program()
    text = client.get(f"{API}tokens/").content.decode()
    assert ApiToken.objects.get().digest not in text
    assert text.count("smsp_") == 1  # the first ten digits, to tell tokens apart
    assert len(client.get(f"{API}tokens/").json()["results"][0]["begins_with"]) == 15


# --- provider accounts -----------------------------------------------------------------------------------------------
CANARY = "canary-7f3a91"


def test_no_answer_holds_a_secret(twin):
    account = make_account(secrets={"chatbot_uuid": CANARY, "api_key": CANARY})
    client = program()
    answers = [
        client.get(f"{API}provider-accounts/"),
        client.get(f"{API}provider-accounts/{account.uuid}/"),
        client.post(f"{API}provider-accounts/{account.uuid}/check/"),
        client.get(f"{API}contact-lists/"),
    ]
    assert all(answer.status_code == 200 for answer in answers)
    assert not any(CANARY in answer.content.decode() for answer in answers)
    assert answers[2].json()["ok"] is False


def test_checking_an_account_asks_the_provider(twin):
    account = make_account()
    answer = program().post(f"{API}provider-accounts/{account.uuid}/check/").json()
    assert answer == {"ok": True, "detail": "Ocelot answers and takes the credentials."}


# --- units -----------------------------------------------------------------------------------------------------------
def test_rows_of_other_units_are_not_there():
    theirs = make_list(unit=make_unit("Housing"))
    client = program(make_user(groups=("List manager",)))
    assert client.get(f"{API}contact-lists/").json()["results"] == []
    for method in (client.get, client.patch, client.delete):
        assert method(f"{API}contact-lists/{theirs.uuid}/").status_code == 404
    assert ContactList.objects.count() == 1


def test_a_unit_may_be_named_by_its_name_or_id_and_must_be_ones_own():
    make_account()
    home, housing, other = make_unit(), make_unit("Housing"), make_unit("Other")
    client = program(make_user(groups=("List manager",), units=[home, housing]))
    by_name = client.post(f"{API}contact-lists/", {"name": "A", "unit": "Housing"})
    by_id = client.post(f"{API}contact-lists/", {"name": "B", "unit": str(housing.uuid)})
    assert [by_name.json()["unit"], by_id.json()["unit"]] == ["Housing", "Housing"]
    assert client.post(f"{API}contact-lists/", {"name": "C"}).json()["unit"] == "Registrar"
    refused = client.post(f"{API}contact-lists/", {"name": "D", "unit": other.name})
    assert refused.status_code == 400
    assert list(refused.json()["errors"]) == ["unit"]


def test_somebody_without_a_unit_is_told_so():
    make_account()
    answer = program(make_user(groups=("List manager",), units=[])).post(f"{API}contact-lists/", {"name": "A"})
    assert answer.status_code == 400
    assert "no unit" in answer.json()["detail"]


# --- pages -----------------------------------------------------------------------------------------------------------
def _walk(client, url):
    """Every page from `url` on, and back to the first by `previous`."""
    pages = []
    while url:
        page = client.get(url).json()
        pages.append(page)
        url = page["next"]
    return pages


@pytest.mark.parametrize("ordering", ["name", "phone_number", "-created_at"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500])
def test_pages_hold_every_row_once_forwards_and_backwards(ordering, limit):
    contact_list = make_list()
    for number in range(7):
        make_contact(contact_list, f"+1312555010{number}", first="Ada", last="Park" if number % 2 else "")
    client = program()
    url = f"{API}contact-lists/{contact_list.uuid}/contacts/?limit={limit}&ordering={ordering}"
    pages = _walk(client, url)
    ids = [row["id"] for page in pages for row in page["results"]]
    assert len(ids) == len(set(ids)) == 7
    back = []
    page = pages[-1]
    while page:
        back = [row["id"] for row in page["results"]] + back
        page = client.get(page["previous"]).json() if page["previous"] else None
    assert back == ids
    assert pages[0]["previous"] is None


def test_a_row_added_while_paging_neither_doubles_nor_hides_another():
    contact_list = make_list()
    for number in range(4):
        make_contact(contact_list, f"+1312555010{number}", last=f"M{number}")
    client = program()
    first = client.get(f"{API}contact-lists/{contact_list.uuid}/contacts/?limit=2").json()
    make_contact(contact_list, "+13125550109", last="A")
    second = client.get(first["next"]).json()
    names = [row["fields"]["Last_Name"] for row in first["results"] + second["results"]]
    assert names == ["M0", "M1", "M2", "M3"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "limit=%F0%9D%9F%99", "cursor=x", "cursor=W10:abc", "ordering=password"]
)
def test_a_wrong_page_is_a_400_that_names_the_parameter(query):
    answer = program().get(f"{API}contact-lists/?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [query.split("=")[0]]


def test_a_cursor_of_another_ordering_is_refused():
    for number in range(3):
        make_list(f"L{number}")
    client = program()
    after = client.get(f"{API}contact-lists/?limit=1").json()["next"]
    assert client.get(after + "&ordering=-created_at").status_code == 400


def test_a_limit_above_500_means_500():
    assert program().get(f"{API}contact-lists/?limit=99999999999999").status_code == 200


# --- bodies and refusals ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b"null", "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b'{"name": "a\\u0000b"}', "application/json", 400),
        (b'{"meta": {"a\\u0000": 1}, "name": "x"}', "application/json", 400),
        (b'{"name": "\\ud800"}', "application/json", 400),
        (b'{"name": "\xff"}', "application/json", 400),
        (b'{"name": ["x"]}', "application/json", 400),
        (b'{"name": {"$gt": ""}}', "application/json", 400),
        (b'{"name": true}', "application/json", 400),
        (b'{"meta": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "application/json", 400),
        (b'{"meta": {"a": ' + b"[" * 40 + b"]" * 40 + b'}, "name": "x"}', "application/json", 400),
        (b"name=x", "application/x-www-form-urlencoded", 415),
        (b"<name/>", "application/xml", 415),
        (b'{"name": "' + b"x" * (2 * 1024 * 1024) + b'"}', "application/json", 413),
        (b'{"name": "' + b"x" * 201 + b'"}', "application/json", 400),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_wrong_body_is_a_problem(body, content_type, status):
    make_account()
    make_unit()
    answer = program().generic("POST", f"{API}contact-lists/", body, content_type=content_type)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) >= {"type", "title", "status", "detail", "errors"}
    assert problem["detail"]
    assert not ContactList.objects.exists()


def test_unknown_and_read_only_fields_are_refused_by_name():
    make_account()
    make_unit()
    answer = program().post(f"{API}contact-lists/", {"name": "A", "sync_state": "in_step", "version": 9, "ownr": 1})
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == {"sync_state", "version", "ownr"}
    assert not ContactList.objects.exists()


def test_errors_in_nested_bodies_say_where():
    make_account()
    body = {"name": "A", "fields": [{"name": "Advisor", "display_name": "Advisor"}, {"name": "9", "display_name": ""}]}
    errors = program().post(f"{API}contact-lists/", body).json()["errors"]
    assert set(errors) == {"fields.1.name", "fields.1.display_name"}


@pytest.mark.parametrize("path", ["nothing/", "contact-lists/nonsense/", "contact-lists/0/", "contacts/%00/"])
def test_an_address_that_leads_nowhere_is_a_404_problem(path, settings):
    settings.DEBUG = False
    answer = program().get(API + path)
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


def test_a_method_that_is_not_offered_is_405():
    client = program()
    for method in (client.put, client.options, client.patch):
        answer = method(f"{API}contact-lists/")
        assert answer.status_code == 405
        assert answer["Content-Type"] == "application/problem+json"


def test_a_query_with_a_nul_is_a_400():
    assert program().get(f"{API}contact-lists/?search=%00").status_code == 400


def test_an_unreachable_provider_is_a_503_that_says_so():
    account = make_account(base_url="http://127.0.0.1:9/ocelot/api/v1")
    answer = program().post(f"{API}senders/refresh/", {"account": account.slug, "operator": "a@example.edu"})
    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("broken", "status"), [(IntegrityError, 409), (OperationalError, 503)])
def test_what_the_database_refuses_is_told_and_logged(monkeypatch, caplog, broken, status):
    def refuse(**_):
        raise broken("UNIQUE constraint failed: canary")

    monkeypatch.setattr("contacts.keeping.create_list", refuse)
    make_account()
    make_unit()
    answer = program().post(f"{API}contact-lists/", {"name": "A"})
    assert answer.status_code == status
    assert "canary" not in answer.json()["detail"]
    assert "canary" in caplog.text


# --- the description -------------------------------------------------------------------------------------------------
def test_the_openapi_description_is_valid_and_complete(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))
    text = (tmp_path / "schema.yaml").read_text()
    assert "/api/v1/contact-lists/{id}/imports/:" in text
    assert "Idempotency-Key" in text


def test_the_description_and_its_page_need_nothing_from_elsewhere():
    client = APIClient()
    assert client.get("/api/schema/").status_code == 200
    page = client.get("/api/docs/")
    assert page.status_code == 200
    assert b"://" not in page.content.replace(b"http://testserver", b"")


def test_the_front_door_leads_to_the_admin():
    assert APIClient().get("/")["Location"] == "/admin/"
