"""Celery as the doorbell, on a real RabbitMQ and a real Redis: a ring wakes a worker, a lost ring loses nothing."""

from __future__ import annotations

import os

import pytest
from kombu import Connection

from messaging import controls
from messaging.models import Batch
from messaging.statuses import BatchState
from smsportal import doorbell
from smsportal.tests.children import wait_for
from smsportal.tests.world import fiction, make_account, make_batch

BROKERS = {
    "rabbitmq": os.environ.get("TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"),
    "redis": os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15"),
}
WORKER = ("-m", "celery", "-A", "smsportal", "worker", "--pool", "threads", "--concurrency", "2", "-l", "WARNING")

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture(params=BROKERS)
def broker(request, settings):
    """A broker that is up, and a process that rings through it."""
    url = BROKERS[request.param]
    try:
        with Connection(url, connect_timeout=2) as connection:
            connection.ensure_connection(max_retries=1, timeout=3)
    except Exception as away:
        if os.environ.get("SMSPORTAL_REQUIRE_SERVICES"):
            raise
        pytest.skip(f"{request.param} is not reachable: {away}")
    settings.DOORBELL = "celery"
    settings.CELERY_BROKER_URL = url
    settings.QUIET_HOURS = ""
    doorbell.celery_app.cache_clear()
    yield url
    doorbell.celery_app.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_a_ring_through_the_broker_sends_a_batch(broker, start, served_twin):
    make_account(base_url=f"{served_twin}/ocelot/api/v1")
    batch = make_batch(fiction(120))
    start(*WORKER, DOORBELL="celery", CELERY_BROKER_URL=broker)
    doorbell.ring_now("sending")
    wait_for(lambda: Batch.objects.get(pk=batch.pk).state == BatchState.FINISHED, 40)
    assert batch.counts()["accepted"] == 120


@pytest.mark.django_db(transaction=True)
def test_work_nobody_rang_for_is_found_by_looking(broker, start, served_twin, tmp_path):
    make_account(base_url=f"{served_twin}/ocelot/api/v1")
    batch = make_batch(fiction(120))
    controls.pause(batch, actor=None)
    controls.resume(batch, actor=None)
    beat = ("-B", "--scheduler", "celery.beat:Scheduler")
    start(*WORKER, *beat, DOORBELL="celery", CELERY_BROKER_URL=broker)
    wait_for(lambda: Batch.objects.get(pk=batch.pk).state == BatchState.FINISHED, 60)
    assert batch.counts()["accepted"] == 120


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1//"])
def test_a_broker_that_is_away_is_no_error(settings, caplog, url):
    settings.DOORBELL = "celery"
    settings.CELERY_BROKER_URL = url
    doorbell.celery_app.cache_clear()
    doorbell.ring_now("sending")
    doorbell.celery_app.cache_clear()
    assert "did not reach the broker" in caplog.text
