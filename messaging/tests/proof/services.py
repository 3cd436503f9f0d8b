"""A PostgreSQL server of a proof's own, to be killed without harming anybody: its programs must be installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

from smsportal.processes import free_port


def programs() -> Path | None:
    """Where `initdb` and `pg_ctl` are; None when they are not installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    return max((each.parent for each in Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None)


class Postgres:
    """A server with its data in `folder`, as long as the `with` block lasts. It does not run as root, whoever starts it."""

    def __init__(self, folder: Path) -> None:
        found = programs()
        if found is None:
            raise FileNotFoundError("initdb was not found; install PostgreSQL's server programs.")
        self.bin, self.folder, self.port = found, folder, free_port()
        self.as_user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}

    @property
    def url(self) -> str:
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        self.folder.mkdir()
        if self.as_user:
            shutil.chown(self.folder, **self.as_user)
            self.folder.parent.chmod(0o755)
        self._call("initdb", "-D", str(self.folder), "-U", "postgres", "-A", "trust")
        self.start()
        return self

    def __exit__(self, *gone: object) -> None:
        self._call("pg_ctl", "-D", str(self.folder), "-m", "immediate", "stop", check=False)

    def start(self) -> None:
        """Start it, as after a crash when it was killed; returns when it answers."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c max_connections=200"
        until = time.monotonic() + 60
        while self._call("pg_ctl", "-D", str(self.folder), "-w", "-o", options, "start", check=False).returncode:
            if time.monotonic() > until:
                raise RuntimeError("PostgreSQL does not start again.")
            time.sleep(0.3)

    def kill(self) -> None:
        """SIGKILL to the postmaster: every session dies, nothing is flushed."""
        pid = int((self.folder / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

    def _call(self, program: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        command = [str(self.bin / program), *words]
        return subprocess.run(
            command, check=check, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.as_user
        )
