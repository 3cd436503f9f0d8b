"""The portal's own settings, but for what would mix a measurement with the work of others: the broker's queue."""

from __future__ import annotations

import os

from smsportal.settings import *  # noqa: F403 - all of them

CELERY_TASK_DEFAULT_QUEUE = os.environ.get("BENCH_QUEUE", "bench")
