"""What `manage.py check` tells before the portal starts."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest
from django.core.checks import run_checks

POSTGRES = {"default": {"ENGINE": "django.db.backends.postgresql"}}


def _ids() -> set[str]:
    return {message.id for message in run_checks() if message.id.startswith("smsportal.")}


def _ids_of_ours(settings, monkeypatch, **changed) -> list:
    from smsportal import checks

    for name, value in changed.items():
        if name == "DATABASES":  # Django warns when this one is replaced, so its entry is
            monkeypatch.setitem(settings.DATABASES, "default", value["default"])
        else:
            setattr(settings, name, value)
    ours = (checks.secrets_are_ours_everywhere, checks.settings_make_sense, checks.parts_are_there)
    return [message for check in ours for message in check(None)]


def test_a_fresh_clone_has_nothing_to_mend():
    assert not {each for each in _ids() if not each.endswith("W001")}


def test_a_clone_with_both_keys_set_has_a_place_for_its_files_too(settings, tmp_path, monkeypatch):
    (tmp_path / "smsportal").mkdir()
    copy = shutil.copy(Path(settings.BASE_DIR) / "smsportal/settings.py", tmp_path / "smsportal")
    monkeypatch.setenv("SECRET_KEY", "one")
    monkeypatch.setenv("FIELD_KEYS", "another")
    runpy.run_path(str(copy))
    assert (tmp_path / "var").is_dir()
    assert not any((tmp_path / "var").iterdir())


@pytest.mark.parametrize(
    ("changed", "expected", "setting"),
    [
        ({"DOORBELL": "celery", "DATABASES": POSTGRES, "OWN_SECRETS": ["SECRET_KEY"]}, "E001", "SECRET_KEY"),
        ({"DOORBELL": "celery", "DATABASES": POSTGRES, "OWN_SECRETS": ["FIELD_KEYS"]}, "E002", "FIELD_KEYS"),
        ({"SECRET_KEY": "same", "FIELD_KEYS": ["new", "same"]}, "E003", "FIELD_KEYS"),
        ({"DOORBELL": "telepathy"}, "E004", "DOORBELL"),
        ({"QUIET_HOURS": "9pm-8am"}, "E005", "QUIET_HOURS"),
        ({"QUIET_HOURS": "24:00-08:00"}, "E005", "QUIET_HOURS"),
        ({"HOLIDAYS": ["Illinois"]}, "E009", "HOLIDAYS"),
        ({"HOLIDAYS": ["US-IL", "US-XX"]}, "E009", "HOLIDAYS"),
        ({"SEND_WINDOW": 0}, "E010", "SEND_WINDOW"),
        ({"SEND_THREADS": 0}, "E010", "SEND_THREADS"),
        ({"PUBLIC_URL": "sms.example.edu"}, "E006", "PUBLIC_URL"),
        ({"PUBLIC_URL": "ftp://sms.example.edu"}, "E006", "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://sms.example.edu"}, "W002", "PUBLIC_URL"),
        (
            {
                "DOORBELL": "celery",
                "OWN_SECRETS": [],
                "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3"}},
            },
            "W001",
            "DATABASE_URL",
        ),
    ],
)
def test_a_wrong_setting_is_told_with_its_name(settings, monkeypatch, changed, expected, setting):
    [message] = _ids_of_ours(settings, monkeypatch, **changed)
    assert message.id == f"smsportal.{expected}"
    assert setting in message.hint


@pytest.mark.parametrize(
    "changed", [{"QUIET_HOURS": ""}, {"HOLIDAYS": ["US", "us-il"]}, {"PUBLIC_URL": "https://sms.example.edu/portal"}]
)
def test_a_right_setting_is_not_mentioned(settings, monkeypatch, changed):
    assert _ids_of_ours(settings, monkeypatch, **changed) == []


def test_an_old_framework_and_a_missing_provider_are_told(settings, monkeypatch):
    monkeypatch.setattr("rest_framework.VERSION", "3.17.1")
    monkeypatch.setitem(__import__("smsportal.providers").providers.PROVIDERS, "gone", "smsportal.providers.gone.Gone")
    assert [each.id for each in _ids_of_ours(settings, monkeypatch)] == ["smsportal.E007", "smsportal.E008"]
