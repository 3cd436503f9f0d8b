"""The soak: very many texts through workers that are killed and frozen at random, at a twin that errs at random.

Meanwhile people opt out, batches are paused, and PostgreSQL's sessions and the server itself are killed. In the end
every text is compared with the twin's ledger. Run as a process of its own, it prints what it found as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

from messaging.tests.proof.environment import DEADLINES, HURRIED, PEOPLE, PLAIN, POISON, Plan
from messaging.tests.proof.ringing import BROKERS, Broker
from messaging.tests.proof.services import Postgres
from smsportal.processes import free_port, web

if TYPE_CHECKING:
    from messaging.tests.proof.ordeal import Soaked


@contextmanager
def portal(port: int, folder: Path) -> Iterator[None]:
    """The web process that takes the twin's webhooks."""
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(web(f"127.0.0.1:{port}"), stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def main(given: Sequence[str] | None = None) -> int:
    """One soak on DATABASE_URL, or with --private-postgres on a server of its own. 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in asdict(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument("--migrate", action="store_true")
    parser.add_argument("--private-postgres", action="store_true")
    parser.add_argument("--keep", type=Path, help="a new folder that is left with the ledger and the logs in it")
    options = vars(parser.parse_args(given))
    migrate, private, keep = options.pop("migrate"), options.pop("private_postgres"), options.pop("keep")
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        server = None
        if private:
            server = stack.enter_context(Postgres(folder / "postgres"))
            os.environ["DATABASE_URL"] = server.url
        plan, broker = Plan(**options), None
        if plan.broker:
            broker = stack.enter_context(BROKERS[plan.broker]())
            os.environ.update({"DOORBELL": "celery", "CELERY_BROKER_URL": broker.url})
        found = _soaked(plan, folder, server, broker, stack, migrate=migrate or private)
    json.dump(asdict(found), sys.stdout)
    return 1 if found.wrong else 0


def _soaked(
    plan: Plan, folder: Path, server: Postgres | None, broker: Broker | None, stack: ExitStack, *, migrate: bool
) -> Soaked:
    port = free_port()
    os.environ.update({**PLAIN, **HURRIED, "PUBLIC_URL": f"http://127.0.0.1:{port}"})
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smsportal.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from messaging.tests.proof import mistakes
    from messaging.tests.proof.killing import Workers, runworker
    from messaging.tests.proof.ordeal import Soak
    from messaging.tests.proof.ringing import Bells, celery_worker
    from messaging.tests.proof.stage import AREAS, fiction, served_twin, set_stage
    from smsportal.providers import http

    deadlines = http.Deadlines(*DEADLINES)
    if migrate:
        call_command("migrate", verbosity=0)
    stack.enter_context(mistakes.planted(plan.mistake))
    stack.enter_context(patch.object(http, "Deadlines", lambda: deadlines))
    twin = stack.enter_context(served_twin(folder, seed=plan.seed, silent=[area for area in AREAS if area % 5]))
    people = fiction(min(plan.texts, PEOPLE) - 3) + [f"+1{area}555{POISON:04}" for area in AREAS[:3]]
    stage = set_stage(twin, people, max_per_call=100)
    stack.enter_context(portal(port, folder))
    work, bells, chance = runworker(plan.threads), None, random.Random(plan.seed)
    if broker is not None:
        work, bells = celery_worker(), Bells(broker, chance)
    workers = Workers(work, plan.workers, chance, folder / "workers.log")
    try:
        soak = Soak(plan, twin, stage, workers)
        soak.server, soak.bells = server, bells
        return soak.run()
    finally:
        workers.stop()


if __name__ == "__main__":
    raise SystemExit(main())
