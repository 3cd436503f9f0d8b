"""`manage.py runportal` listens where its address says: what it prints and tells the twins leads to it."""

from __future__ import annotations

import socket

import pytest
from django.core.management import CommandError, call_command

from messaging.management.commands.runportal import listens_at


@pytest.mark.parametrize(
    ("public_url", "bind"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("http://127.0.0.1:8321", "127.0.0.1:8321"),
        ("http://localhost:8321/", "127.0.0.1:8321"),
        ("http://127.0.0.1", "127.0.0.1:8000"),  # a port only root may take
        ("https://127.0.0.1:8443", "127.0.0.1:8000"),  # whoever ends TLS listens there
        ("https://texts.example.edu", "127.0.0.1:8000"),
        ("http://texts.example.edu:8321", "127.0.0.1:8000"),
    ],
)
def test_it_listens_at_the_port_of_its_address_on_this_machine(public_url, bind):
    assert listens_at(public_url) == bind


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_of_its_address_is_told_before_anything_begins(settings, taken):
    settings.PUBLIC_URL = f"http://127.0.0.1:{taken}"
    with pytest.raises(CommandError, match=f"Port {taken} is taken"):
        call_command("runportal")


def test_bind_chooses_another_place(settings, taken):
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    with pytest.raises(CommandError, match=f"Port {taken} is taken"):
        call_command("runportal", bind=f"127.0.0.1:{taken}")
