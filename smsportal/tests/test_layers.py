"""Who may import whom: the contracts hold, they catch a planted breach, and an embedded web process starts without Celery."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from smsportal.providers import PROVIDERS

ROOT = Path(settings.BASE_DIR)
PACKAGES = ("smsportal", "contacts", "messaging")
LINT = Path(sys.executable).with_name("lint-imports")


def check_layers(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(LINT), "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


def imports_of(path: Path) -> Iterator[str]:
    """The full names `path` imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_the_contracts_hold() -> None:
    done = check_layers(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@pytest.mark.parametrize(
    ("path", "breach", "contract"),
    [
        ("contacts/models/lists.py", "import messaging.models", "messaging over contacts"),
        ("messaging/models/template.py", "import messaging.sending", "messaging: faces"),
        ("contacts/consent.py", "import contacts.tasks", "contacts: faces"),
        ("messaging/sending/__init__.py", "import requests", "imports requests"),
        ("smsportal/providers/base.py", "import contacts.models", "providers know no app"),
        ("smsportal/sandbox/app.py", "import smsportal.phones", "share no code"),
        ("contacts/keeping/__init__.py", "import smsportal.sandbox", "nothing imports the twins"),
        ("contacts/models/lists.py", "import smsportal.providers.ocelot", "knows a provider by name"),
        ("messaging/controls/__init__.py", "import smsportal.doorbell", "never ring the doorbell"),
    ],
)
def test_a_planted_breach_is_caught(copy: Path, path: str, breach: str, contract: str) -> None:
    before = (copy / path).read_text()
    (copy / path).write_text(f"{before}\n\n{breach}\n")
    try:
        done = check_layers(copy)
    finally:
        (copy / path).write_text(before)
    broken = [line for line in done.stdout.splitlines() if "BROKEN" in line]
    assert done.returncode == 1
    assert any(contract in line for line in broken), done.stdout


@pytest.mark.parametrize("name", PROVIDERS)
def test_providers_know_no_table_and_not_each_other(name: str) -> None:
    home = ROOT / "smsportal/providers"
    files = [*home.glob(f"{name}.py"), *home.glob(f"{name}/*.py")]
    assert files, f"{name} has no module of its own name"
    forbidden = (
        "django.db",
        "django.contrib",
        *(f"smsportal.providers.{other}" for other in PROVIDERS if other != name),
    )
    found = {(file.name, each) for file in files for each in imports_of(file) if each.startswith(forbidden)}
    assert not found


def test_the_twins_need_nothing_but_the_standard_library() -> None:
    found = {
        each
        for file in (ROOT / "smsportal/sandbox").rglob("*.py")
        for each in imports_of(file)
        if not each.startswith("smsportal.sandbox") and each.partition(".")[0] not in sys.stdlib_module_names
    }
    assert not found


def test_an_embedded_web_process_starts_without_what_it_does_not_use() -> None:
    start = (
        "import sys, smsportal.wsgi; from django.urls import get_resolver; get_resolver().url_patterns;"
        # not psycopg: Unfold looks for Django's PostgreSQL fields, whatever the database
        "print(*{'celery', 'kombu', 'redis', 'openpyxl', 'tablib', 'pytest'} & set(sys.modules))"
    )
    embedded = {**os.environ, "DATABASE_URL": "sqlite:///:memory:", "DOORBELL": "thread", "LOG_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-c", start], cwd=ROOT, env=embedded, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
