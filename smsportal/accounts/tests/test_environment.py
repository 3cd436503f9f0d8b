"""Accounts from the environment: what is set is stored, what is blank is left alone, and a sandbox stays one."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection

from smsportal import providers
from smsportal.accounts.environment import sync_accounts
from smsportal.accounts.models import ProviderAccount
from smsportal.problems import Wrong
from smsportal.tests.world import make_list

pytestmark = pytest.mark.django_db

CREDENTIALS = {"OCELOT_CHATBOT_UUID": "964783cd-c648-4628-8262-55dac3831d8f", "OCELOT_API_KEY": "a-real-key"}


@pytest.fixture
def environment(settings, monkeypatch):
    """The providers' variables, as a dict to be filled; only Ocelot is registered."""
    monkeypatch.setattr(providers, "PROVIDERS", {"ocelot": providers.PROVIDERS["ocelot"]})
    settings.SANDBOX_URL = "http://127.0.0.1:8100"
    settings.PROVIDER_ENVIRONMENT = {}
    return settings.PROVIDER_ENVIRONMENT


def the_account() -> ProviderAccount:
    return ProviderAccount.objects.get(slug="ocelot")


def test_with_nothing_set_the_account_points_at_the_twin(environment):
    environment["OCELOT_API_KEY"] = "  "
    (done,) = sync_accounts()
    account = the_account()
    assert (done.change, done.is_sandbox, account.is_sandbox) == ("created", True, True)
    assert account.base_url == "http://127.0.0.1:8100/ocelot/api/v1"
    assert account.secrets["api_key"] == "sandbox-key"
    assert account.operator


def test_the_account_works_at_the_twin(environment, settings, twin):
    settings.SANDBOX_URL = "http://twins.test"
    sync_accounts()
    the_account().at_provider().check()
    assert twin.requests[-1].status == 404  # it asked for a list that does not exist, and was let in


def test_credentials_make_a_real_account(environment):
    environment |= {**CREDENTIALS, "OCELOT_OPERATOR": "jon@example.edu", "OCELOT_TRANSCRIPTS_PATH": "/sms/turns"}
    (done,) = sync_accounts()
    account = the_account()
    assert (done.change, account.is_sandbox) == ("created", False)
    assert account.base_url == "https://ai.ocelotbot.com/api/v1"
    assert account.secrets == {"chatbot_uuid": CREDENTIALS["OCELOT_CHATBOT_UUID"], "api_key": "a-real-key"}
    assert (account.operator, account.options) == ("jon@example.edu", {"transcripts_path": "/sms/turns"})


@pytest.mark.parametrize("with_credentials", [True, False])
def test_a_second_run_changes_nothing(environment, with_credentials):
    if with_credentials:
        environment |= CREDENTIALS
    sync_accounts()
    before = ProviderAccount.objects.values().get()
    assert [each.change for each in sync_accounts()] == ["unchanged"]
    assert ProviderAccount.objects.values().get() == before


def test_blanks_never_overwrite_what_staff_changed(environment):
    environment |= CREDENTIALS
    sync_accounts()
    changed = {"name": "Ocelot, main campus", "operator": "eve@example.edu", "options": {"number_format": "e164"}}
    ProviderAccount.objects.update(**changed)
    environment["OCELOT_OPERATOR"] = ""
    environment["OCELOT_PHONE_NUMBERS_PATH"] = "/sms/numbers"
    assert [each.change for each in sync_accounts()] == ["updated"]
    account = the_account()
    assert (account.name, account.operator) == ("Ocelot, main campus", "eve@example.edu")
    assert account.options == {"number_format": "e164", "phone_numbers_path": "/sms/numbers"}


def test_a_real_account_outlives_the_environment(environment):
    environment |= CREDENTIALS
    sync_accounts()
    environment.clear()
    (done,) = sync_accounts()
    assert (done.change, the_account().is_sandbox, the_account().secrets["api_key"]) == (
        "unchanged",
        False,
        "a-real-key",
    )
    assert "kept" in done.note


def test_a_sandbox_never_becomes_real(environment):
    sync_accounts()
    tried = make_list(account=the_account())
    environment |= CREDENTIALS
    (done,) = sync_accounts()
    assert (done.change, the_account().is_sandbox) == ("created", False)
    tried.refresh_from_db()
    assert (tried.account.slug, tried.account.is_sandbox, tried.account.is_active) == ("ocelot-sandbox", True, False)
    assert "ocelot-sandbox" in done.note
    assert [each.change for each in sync_accounts()] == ["unchanged"]


def test_the_sandbox_s_account_follows_the_sandbox(environment, settings):
    sync_accounts()
    settings.SANDBOX_URL = "http://127.0.0.1:8190"
    assert [each.change for each in sync_accounts()] == ["updated"]
    assert the_account().base_url == "http://127.0.0.1:8190/ocelot/api/v1"


def test_an_address_of_the_twin_is_a_sandbox_whatever_the_key(environment):
    environment |= {**CREDENTIALS, "OCELOT_BASE_URL": "http://127.0.0.1:8100/ocelot/api/v1/"}
    sync_accounts()
    assert the_account().is_sandbox
    assert the_account().base_url == "http://127.0.0.1:8100/ocelot/api/v1"


def test_new_keys_close_a_circuit_that_wrong_ones_opened(environment):
    environment |= CREDENTIALS
    sync_accounts()
    ProviderAccount.objects.update(circuit_open=True, circuit_reason="401", bad_answers=3)
    sync_accounts()
    assert the_account().circuit_open
    environment["OCELOT_API_KEY"] = "another-key"
    sync_accounts()
    account = the_account()
    assert (account.circuit_open, account.circuit_reason, account.bad_answers) == (False, "", 0)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"OCELOT_API_KEY": "a-real-key"}, "OCELOT_CHATBOT_UUID"),
        ({"OCELOT_CHATBOT_UUID": CREDENTIALS["OCELOT_CHATBOT_UUID"]}, "OCELOT_API_KEY"),
        ({"OCELOT_BASE_URL": "https://ai.example.com/api/v1"}, "OCELOT_CHATBOT_UUID"),
        ({**CREDENTIALS, "OCELOT_BASE_URL": "http://ai.example.com/api/v1"}, "OCELOT_BASE_URL"),
        ({**CREDENTIALS, "OCELOT_BASE_URL": "ai.example.com"}, "OCELOT_BASE_URL"),
    ],
)
def test_half_a_setting_is_an_error_that_names_the_other_half(environment, given, named):
    environment |= given
    with pytest.raises(Wrong, match=named) as wrong:
        sync_accounts()
    assert "a-real-key" not in wrong.value.detail
    assert not ProviderAccount.objects.exists()
    with pytest.raises(CommandError, match=named):
        call_command("sync_accounts")


def test_the_command_says_what_it_did_without_secrets(environment):
    environment |= CREDENTIALS
    said = StringIO()
    call_command("sync_accounts", stdout=said)
    assert said.getvalue() == "ocelot: created (REAL texts) at https://ai.ocelotbot.com/api/v1\n"
    environment.clear()
    call_command("sync_accounts", stdout=said)
    assert "no credentials; kept" in said.getvalue()
    assert "a-real-key" not in said.getvalue()


# --- rotating FIELD_KEYS ----------------------------------------------------------------------------------------------
def test_after_a_run_with_a_new_field_key_the_old_one_can_be_dropped(environment, settings):
    environment |= CREDENTIALS
    settings.FIELD_KEYS = ["old"]
    sync_accounts()
    by_hand = ProviderAccount.objects.create(slug="second", provider="ocelot", name="Second", secrets={"api_key": "k"})
    settings.FIELD_KEYS = ["new", "old"]
    assert [done.change for done in sync_accounts()] == ["unchanged"]
    settings.FIELD_KEYS = ["new"]
    by_hand.refresh_from_db()
    assert (the_account().secrets["api_key"], by_hand.secrets) == ("a-real-key", {"api_key": "k"})


def test_after_a_field_key_was_lost_the_environment_gives_the_credentials_again(environment, settings):
    environment |= CREDENTIALS
    settings.FIELD_KEYS = ["lost"]
    sync_accounts()
    by_hand = ProviderAccount.objects.create(slug="second", provider="ocelot", name="Second", secrets={"api_key": "k"})
    settings.FIELD_KEYS = ["new"]
    assert [done.change for done in sync_accounts()] == ["updated"]
    assert the_account().secrets["api_key"] == "a-real-key"
    with connection.cursor() as cursor:  # as docs/operations.md has it
        cursor.execute("UPDATE accounts_provideraccount SET secrets = '' WHERE slug = 'second'")
    by_hand.refresh_from_db()
    assert by_hand.secrets == {}


def test_the_account_of_the_twin_outlives_a_lost_field_key(environment, settings):
    settings.FIELD_KEYS = ["lost"]
    sync_accounts()
    settings.FIELD_KEYS = ["new"]
    sync_accounts()
    assert the_account().secrets["api_key"] == "sandbox-key"


def test_credentials_no_key_opens_and_nobody_knows_are_never_thrown_away(environment, settings):
    environment |= CREDENTIALS
    settings.FIELD_KEYS = ["right"]
    sync_accounts()
    environment.clear()
    settings.FIELD_KEYS = ["wrong"]
    with pytest.raises(ImproperlyConfigured, match="FIELD_KEYS"):
        sync_accounts()
    settings.FIELD_KEYS = ["right"]
    assert the_account().secrets["api_key"] == "a-real-key"
