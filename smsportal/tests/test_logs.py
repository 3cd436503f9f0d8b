"""Canaries in log lines: no token, key, webhook address or whole number comes out."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from smsportal.logs import Mask, mask


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Authorization: Bearer smsp_0123456789abcdef", "Authorization: Bearer smsp_***"),
        ("Authorization: Bearer eyJhbGciOi.J9-x_y=", "Authorization: Bearer ***"),
        ("Authorization: Basic dXNlcjpjYW5hcnk=", "Authorization: Basic ***"),
        ("token smsp_0123456789abcdef was used", "token smsp_*** was used"),
        ("POST /hooks/ocelot/q3Jk_canary-token/ 200", "POST /hooks/ocelot/*** 200"),
        ("POST https://sms.example.edu/hooks/ocelot/q3Jk?x=1", "POST https://sms.example.edu/hooks/ocelot/***?x=1"),
        ('{"api_key": "canary", "to": "x"}', '{"api_key": ***, "to": "x"}'),
        ("{'apiKey': 'canary'}", "{'apiKey': ***}"),
        ("X-Api-Key: canary", "X-Api-Key: ***"),
        ("OCELOT_API_KEY=canary next", "OCELOT_API_KEY=*** next"),
        ("password=canary&user=sam", "password=***&user=sam"),
        ("to +13125550100 failed", "to ***0100 failed"),
        ("to %2B13125550100 failed", "to ***0100 failed"),
        ("to +441134960999.", "to ***0999."),
        ("to (312) 555-0100,", "to ***0100,"),
        ("to 312-555-0100", "to ***0100"),
        ("to 312.555.0100", "to ***0100"),
        ("to 13125550100", "to ***0100"),
        ("to 3125550100, 3125550101", "to ***0100, ***0101"),
        ("{'phone': '3125550100'}", "{'phone': '***0100'}"),
    ],
)
def test_what_must_not_be_read_is_masked(said, left):
    assert mask(said).replace("/***/", "/***") == left


@pytest.mark.parametrize(
    "said",
    [
        "batch 964783cd-c648-4628-8262-55dac3831d8f took 1.23456789012 s",
        "2026-11-21 08:30:00 chunk 1234567 of 250000",
        "127.0.0.1:8000 answered 503",
        "a token was refused: it is no token of the portal",
    ],
)
def test_what_is_no_secret_stays(said):
    assert mask(said) == said


def test_arguments_and_tracebacks_are_masked_too(capsys):
    log = logging.Logger("canary")
    handler = logging.StreamHandler()
    handler.addFilter(Mask())
    log.addHandler(handler)
    try:
        raise ValueError("the key of +13125550100 is api_key='canary'")
    except ValueError:
        log.exception("Sending to %s with %s", "+13125550100", {"token": "Bearer canary-token"})
    written = capsys.readouterr().err
    assert "Traceback" in written
    assert "3125550100" not in written
    assert "canary-token" not in written
    assert "'canary'" not in written


def test_every_handler_of_the_portal_masks(settings):
    assert all("mask" in handler["filters"] for handler in settings.LOGGING["handlers"].values())
    used = {name for logger in settings.LOGGING["loggers"].values() for name in logger["handlers"]}
    assert used | set(settings.LOGGING["root"]["handlers"]) <= set(settings.LOGGING["handlers"])


def test_a_celery_worker_masks_too(settings):
    """Left to itself, Celery puts handlers of its own in the place of ours when a worker or beat starts."""
    start = (
        "import logging, django; django.setup(); from smsportal.celery import app;"
        "app.log.setup_logging_subsystem('INFO'); logging.getLogger('messaging').error('to +13125550100 by smsp_canary')"
    )
    celery = {**os.environ, "DJANGO_SETTINGS_MODULE": "smsportal.settings", "DOORBELL": "celery"}
    done = subprocess.run(
        [sys.executable, "-c", start], cwd=settings.BASE_DIR, env=celery, capture_output=True, text=True, check=True
    )
    assert "to ***0100 by smsp_***" in done.stderr
    assert "canary" not in done.stderr
