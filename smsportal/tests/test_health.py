"""Liveness asks nothing; readiness fails only when the database is away, and tells what else is wrong."""

from __future__ import annotations

from datetime import timedelta
from unittest import mock

import pytest
from django.db import OperationalError, connection
from django.test import Client

from messaging.models import Heartbeat
from smsportal import clock, health


def test_a_living_process_needs_no_database():
    answer = Client().get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_readiness_tells_of_workers_and_migrations():
    answer = Client().get("/health/ready").json()
    assert answer == {"status": "degraded", "database": True, "migrated": True, "workers": {}, "stale": []}
    Heartbeat.objects.create(lane="sending", at=clock.now())
    assert Client().get("/health/ready/").json()["status"] == "ok"
    Heartbeat.objects.create(lane="hooks", at=clock.now() - timedelta(minutes=4))
    answer = Client().get("/health/ready")
    assert (answer.status_code, answer.json()["status"], answer.json()["stale"]) == (200, "degraded", ["hooks"])
    assert answer.json()["workers"] == {"hooks": 240, "sending": 0}


@pytest.mark.django_db
def test_readiness_fails_when_the_database_is_away():
    with mock.patch.object(connection, "cursor", side_effect=OperationalError("gone")):
        answer = Client().get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "database": False})


@pytest.mark.django_db
def test_migrations_that_are_missing_are_told_and_looked_for_again():
    health._all_applied.cache_clear()
    with mock.patch("smsportal.health.MigrationExecutor.migration_plan", return_value=["0009"]):
        assert Client().get("/health/ready").json()["migrated"] is False
    assert Client().get("/health/ready").json()["migrated"] is True


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_is_only_looked_at(path):
    assert Client().head(path).status_code == 200
    assert Client(enforce_csrf_checks=True).post(path).status_code == 405
