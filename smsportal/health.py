"""Whether the portal lives, and whether it can work: two addresses for whoever restarts it and whoever is woken at night."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Final

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponseNotAllowed, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from messaging.models import Heartbeat
from smsportal import clock

STALE_AFTER: Final = timedelta(minutes=3)


@csrf_exempt
@never_cache
def live(request: HttpRequest) -> HttpResponseBase:
    """200 as long as this process answers at all; asks no database."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    return JsonResponse({"status": "ok"})


@csrf_exempt
@never_cache
def ready(request: HttpRequest) -> HttpResponseBase:
    """200 when the database answers, else 503. Also tells whether it is migrated and which lanes nobody works on.

    `workers` maps each lane to the seconds since it was last looked after; `stale` names those over three minutes.
    They are told, not failed: a web process without workers still takes in what providers and staff send.
    """
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        migrated = _migrated()
        beats = dict(Heartbeat.objects.values_list("lane", "at")) if migrated else {}
    except Error:
        return JsonResponse({"status": "unavailable", "database": False}, status=503)
    ages = {lane: clock.now() - at for lane, at in beats.items()}
    stale = sorted(lane for lane, age in ages.items() if age > STALE_AFTER)
    return JsonResponse(
        {
            "status": "ok" if migrated and ages and not stale else "degraded",
            "database": True,
            "migrated": migrated,
            "workers": {lane: round(age.total_seconds()) for lane, age in sorted(ages.items())},
            "stale": stale,
        }
    )


def _migrated() -> bool:
    """Whether every migration of the code is applied. Once it is, it stays so for the life of the process."""
    try:
        return _all_applied()
    except LookupError:
        return False


@cache
def _all_applied() -> bool:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise LookupError("Some migrations are not applied.")  # an exception is not kept in the cache
    return True


urlpatterns = [
    path("health/live", live, name="health-live"),
    path("health/live/", live),
    path("health/ready", ready, name="health-ready"),
    path("health/ready/", ready),
]
