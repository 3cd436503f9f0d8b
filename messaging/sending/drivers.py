"""Drives every account that has something due, each by a driver of its own, side by side."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from django.db import connection

from messaging.sending.claiming import due_accounts
from messaging.sending.driving import Driver
from smsportal.sql import AWAY

log = logging.getLogger(__name__)

FAILED: Final = "The driver of account %s failed; what it held is found by the sweeper"
SEEK_S: Final = 0.5  # how soon an account is driven that gets something to send while others are busy


def drive(threads: int, stop: Callable[[], bool] = lambda: False) -> int:
    """Send through every account that has something due, with `threads` requests at once each.

    An account that gets something to send while others are busy is driven within a moment, too. Returns how many
    requests were made, when nothing is due any more or soon after `stop()`: what is under way is finished and written
    down first. `stop` is called about ten times a second.
    """
    return _Drivers(threads, stop).run()


class _Drivers:
    """One driver per account: the first in the caller's thread, which looks for further accounts as it goes."""

    def __init__(self, threads: int, stop: Callable[[], bool]) -> None:
        self.threads, self.stop = threads, stop
        self.own = 0  # the account that is driven in the caller's thread
        self.others: dict[int, tuple[Driver, threading.Thread]] = {}
        self.look_at = 0.0
        self.requests = 0

    def run(self) -> int:
        try:
            while not self.stop():
                if not self._drive_one() and not self.others:
                    break  # nothing is due, or the window is full or the account just closed: one looks again soon
        finally:
            for driver, thread in self.others.values():
                thread.join()
                self.requests += driver.requests
        return self.requests

    def _drive_one(self) -> bool:
        """Drive an account nobody drives, as long as it takes. False, after a moment, when nothing was sent."""
        try:
            accounts = self._idle()
        except AWAY:
            if not self.others:
                raise
            # Those that are driven may have hours of work: they must not be waited for before anybody looks again.
            connection.close()
            accounts = []
        made = 0
        if accounts:
            own = Driver(accounts[0], self.threads, self._look_and_stop)
            self.own = own.account
            try:
                own.run()
            except Exception:
                if not self.others:
                    raise
                log.exception(FAILED, own.account)
            finally:
                self.own, made = 0, own.requests
                self.requests += made
        if not made and self.others:
            time.sleep(SEEK_S)
        return bool(made)

    def _look_and_stop(self) -> bool:
        if time.monotonic() >= self.look_at:
            self.look_at = time.monotonic() + SEEK_S
            try:
                accounts = self._idle()
            except AWAY:
                accounts = []  # the driver that calls finds out by itself
            for account in accounts:
                driver = Driver(account, self.threads, self.stop)
                thread = threading.Thread(target=_by_itself, args=(driver,), name=f"driver-{account}")
                self.others[account] = driver, thread
                thread.start()
        return self.stop()

    def _idle(self) -> list[int]:
        """The accounts that have something due and no driver."""
        for account, (driver, thread) in list(self.others.items()):
            if not thread.is_alive():
                self.requests += driver.requests
                del self.others[account]
        return [each for each in due_accounts() if each != self.own and each not in self.others]


def _by_itself(driver: Driver) -> None:
    """The body of a driver's own thread."""
    try:
        driver.run()
    except Exception:
        log.exception(FAILED, driver.account)
    finally:
        connection.close()
