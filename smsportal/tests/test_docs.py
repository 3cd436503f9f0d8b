"""The documents are complete: every setting, address, status word, provider, verb and command, and the road, is in them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

from contacts.models import ImportState, RowState, SyncRunState
from messaging.models import CallState, ItemState
from messaging.statuses import DELIVERY_WORDS, BatchState, ChunkState, MessageState, Reason
from smsportal.mirror.models import SyncState
from smsportal.providers import PROVIDERS

ROOT = Path(settings.BASE_DIR)
ROAD = "①②③④⑤⑥⑦⑧⑨"
SETTING = re.compile(r"""env(?:\.\w+)?\(\s*"([A-Z_]+)""")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
STRIPPED = re.compile(r"<[^>]+>|\{[^}]*\}|\(\?P<[^)]*\)")


def read(path: str) -> str:
    return (ROOT / path).read_text()


def pages() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def tracked() -> list[str]:
    """The files of the tree, as git knows them; a tree without git holds what was released."""
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    return [path for path in done.stdout.splitlines() if (ROOT / path).is_file()]


# --- settings, verbs, commands, providers, words ---------------------------------------------------------------------
def test_every_setting_has_its_line() -> None:
    page = read("docs/settings.md")
    missing = [name for name in SETTING.findall(read("smsportal/settings.py")) if f"| `{name}` |" not in page]
    assert not missing


def test_the_example_names_only_settings_that_exist() -> None:
    page = read("docs/settings.md")
    named = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", read(".env.example"), re.MULTILINE)
    assert named
    assert [name for name in named if f"| `{name}` |" not in page] == []


def test_every_verb_of_make_is_explained() -> None:
    text = read("README.md") + read("CONTRIBUTING.md")
    verbs = re.findall(r"^([a-z][a-z-]*):.*## ", read("Makefile"), re.MULTILINE)
    assert {"demo", "run", "test", "help"} <= set(verbs)
    assert [verb for verb in verbs if f"make {verb}" not in text] == []


def test_every_command_has_its_line() -> None:
    page = read("docs/operations.md")
    commands = [path.stem for path in ROOT.glob("*/management/commands/*.py")]
    commands += [path.stem for path in ROOT.glob("smsportal/*/management/commands/*.py")]
    missing = [name for name in commands if name != "__init__" and not re.search(rf"\| `{name}\b", page)]
    assert not missing


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_has_its_page(name: str) -> None:
    assert f"({name}.md" in read("docs/providers/README.md")
    assert len(read(f"docs/providers/{name}.md")) > 500


@pytest.mark.parametrize(
    "words",
    [
        MessageState,
        BatchState,
        ChunkState,
        ImportState,
        RowState,
        SyncRunState,
        SyncState,
        CallState,
        ItemState,
        Reason,
    ],
    ids=lambda words: words.__name__,
)
def test_every_status_word_is_in_the_glossary(words: type[Enum]) -> None:
    page = read("docs/glossary.md")
    assert [word.value for word in words if word.value and f"`{word.value}`" not in page] == []


def test_every_delivery_rank_is_in_the_glossary() -> None:
    page = read("docs/glossary.md")
    assert [word for rank, word in DELIVERY_WORDS.items() if f"| `{word}` | {rank} |" not in page] == []


# --- addresses -------------------------------------------------------------------------------------------------------
def routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    """Every address of the portal but those Django's and other packages' admin makes, placeholders as {}."""
    for each in resolver.url_patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLPattern):
            yield STRIPPED.sub("{}", route).strip("^$").replace("\\", "")
        elif not route.startswith("admin/"):
            yield from routes(each, route)


def documented() -> set[str]:
    """Every address in the docs, placeholders as {}, alternatives in braces spelled out."""
    text = read("docs/api.md") + read("docs/operations.md")
    words = re.findall(r"[\w/{},.<>…-]+/[\w/{},.<>…-]*", text)
    found = set()
    for word in words:
        for spelled in spell_out(word.replace("<", "{").replace(">", "}")):
            found.add(STRIPPED.sub("{}", spelled).strip("/"))
    return found


def spell_out(word: str) -> list[str]:
    """`{a,b}/` as `a/` and `b/`."""
    choice = re.search(r"\{([^{}]*,[^{}]*)\}", word)
    if not choice:
        return [word]
    return [
        each
        for one in choice[1].split(",")
        for each in spell_out(word[: choice.start()] + one.strip() + word[choice.end() :])
    ]


def test_every_address_is_documented() -> None:
    known = documented()
    found = [route.strip("/") for route in routes(get_resolver())]
    assert len(found) > 20
    missing = [route for route in found if route.removeprefix("api/v1/") not in known and route not in known]
    assert not [route for route in missing if route and not route.startswith("static")]


# --- the road --------------------------------------------------------------------------------------------------------
def opening(path: Path) -> str:
    """The docstring a file opens with."""
    found = re.match(r'"""(.*?)"""', path.read_text(), re.DOTALL)
    assert found, f"{path} does not open with a docstring"
    return found[1].strip()


def file_of(named: str) -> Path:
    """The file a line of the road names; a module that became a package is its __init__."""
    path = ROOT / named
    if path.is_file():
        return path
    package = path.with_suffix("") / "__init__.py"
    assert package.is_file(), f"{named} is not there"
    return package


def test_the_road_leads_from_the_first_file_to_the_last() -> None:
    page = read("docs/flow.md")
    named = re.findall(rf"^\| ([{ROAD}]) \| \[[^\]]*\]\(\.\./([^)]+)\)", page, re.MULTILINE)
    assert [sign for sign, _ in named] == list(ROAD)
    readme = read("README.md")
    for at, (sign, path) in enumerate(named):
        words = opening(file_of(path))
        assert words.startswith(sign), f"{path} does not open with {sign}"
        following = file_of(named[at + 1][1]) if at + 1 < len(named) else ROOT / "docs/flow.md"
        step = re.search(r"^Next: (\S+)\.?$", words.splitlines()[-1])
        assert step, f"{path} does not end its docstring with Next: <file>"
        assert file_of(step[1]) == following
        assert f"]({path})" in readme


# --- the documents themselves ----------------------------------------------------------------------------------------
def test_readme_is_short_and_its_tree_is_that_of_the_disk() -> None:
    text = read("README.md")
    assert len(text.splitlines()) <= 120
    tree = re.search(r"## The house\n\n```\n(.*?)```", text, re.DOTALL)
    assert tree
    named = set(re.findall(r"^(\w+)/ ", tree[1], re.MULTILINE)) | set(tree[1].splitlines()[0].split())
    top = {path.split("/")[0] for path in tracked()}
    assert named == {name for name in top if not name.startswith(".") and not name.endswith((".md", ".in"))}


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if not link.startswith(("http", "mailto:"))]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop().resolve()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        todo += [page.parent / link for link in LINK.findall(page.read_text()) if not link.startswith("http")]
    assert {page.resolve() for page in pages()} <= seen


def test_no_file_refers_to_a_page_that_is_not_there() -> None:
    missing = set()
    for path in tracked():
        if path.endswith((".py", ".md", ".toml", ".html", ".example")) and not path.endswith("test_docs.py"):
            here = (ROOT / path).parent
            for named in re.findall(r"(?<![\w/.-])((?:[\w.-]+/)*[\w-]+\.md)\b", read(path)):
                if not any((start / named).exists() for start in (ROOT, here, ROOT / "docs")):
                    missing.add(f"{path}: {named}")
    assert not missing


def test_nothing_names_a_machine_or_a_package_registry() -> None:
    machine = re.compile("|".join(("/(?:root|home|Users|work)" + "/", "pypi" + r"\.org", "python" + "hosted")))
    found = []
    for path in tracked():
        try:
            text = (ROOT / path).read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path}: {line.strip()[:100]}" for line in text.splitlines() if machine.search(line)]
    assert not found
