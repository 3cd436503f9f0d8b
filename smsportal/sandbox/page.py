"""The sandbox's page: what arrived, what was called back, and small forms to make things happen. Works without scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from smsportal.sandbox.faults import KINDS, ROUTES
from smsportal.sandbox.ocelot.fates import FATES, OWN_NUMBERS
from smsportal.sandbox.ocelot.shapes import SHAPES

if TYPE_CHECKING:
    from smsportal.sandbox.app import Twins
    from smsportal.sandbox.callbacks import Call

SHOWN = 50

STYLE = """
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5b6575;--line:#d7dce3;--card:#fff;--page:#f3f5f8;--mark:#7a3ef0;--warn:#b3261e}
@media (prefers-color-scheme:dark){:root{--ink:#e8ebf0;--soft:#a2acba;--line:#38404d;--card:#1c222c;--page:#12161d;--mark:#b294ff;--warn:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
header{background:var(--mark);color:#fff;padding:1.2rem 1rem}
@media (prefers-color-scheme:dark){header{background:#4b2a9c}}
header h1{margin:0;font-size:2.6rem;line-height:1.1}header p{margin:.4rem 0 0}header a{color:#fff}
main{max-width:80rem;margin:0 auto;padding:1rem;display:grid;gap:1rem;grid-template-columns:minmax(0,1fr)}
section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem;min-width:0}
h2{margin:0 0 .6rem;font-size:1.2rem}h2 small{color:var(--soft);font-weight:normal}
.wide{overflow:auto;max-height:30rem;position:relative}table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;border-top:1px solid var(--line)}
th{color:var(--soft);font-weight:600;border-top:0;white-space:nowrap;position:sticky;top:0;background:var(--card)}
td.text{min-width:10rem;white-space:pre-wrap;overflow-wrap:anywhere}td.number{white-space:nowrap;font-variant-numeric:tabular-nums}
.bad{color:var(--warn);font-weight:600}.none{color:var(--soft);margin:0}
form{display:flex;flex-wrap:wrap;gap:.6rem;align-items:end;margin-top:.6rem}
label{display:grid;font-size:.85rem;color:var(--soft);flex:1 1 9rem}
input,select,button{font:inherit;padding:.4rem .6rem;border:1px solid var(--line);border-radius:.4rem;background:var(--card);color:var(--ink);width:100%}
button{background:var(--mark);color:#fff;border:0;flex:0 0 auto;width:auto;cursor:pointer}
@media (prefers-color-scheme:dark){button{color:#12161d}}
button.quiet{background:none;color:var(--ink);border:1px solid var(--line)}
:focus-visible{outline:3px solid var(--mark);outline-offset:2px}
.pair{display:grid;gap:1rem;grid-template-columns:minmax(0,1fr)}
@media (min-width:60rem){.pair{grid-template-columns:repeat(2,minmax(0,1fr))}}
@media (max-width:40rem){thead{position:absolute;width:1px;overflow:hidden;clip-path:inset(50%)}th{position:static}tr{display:block;border-top:1px solid var(--line);padding:.4rem 0}
td{display:flex;overflow-wrap:anywhere;gap:.6rem;border:0;padding:.1rem 0}td::before{content:attr(data-head);color:var(--soft);flex:0 0 6rem}td:empty{display:none}}
"""


def render(twins: Twins, *, live: bool) -> str:
    """The whole page; with `live` the browser loads it anew every 3 seconds."""
    with twins.lock:
        sections = [
            _texts(twins),
            _callbacks(twins),
            f'<div class="pair">{_reply_form()}{_webhooks(twins)}</div>',
            f'<div class="pair">{_faults(twins)}{_switches(twins)}</div>',
            f'<div class="pair">{_lists(twins)}{_requests(twins)}</div>',
            _fates(),
        ]
    link = '<a href="/">Stop refreshing</a>' if live else '<a href="/?live=1">Refresh every 3 seconds</a>'
    portal = f' · <a href="{escape(twins.portal)}">Open the portal</a>' if twins.portal else ""
    refresh = '<meta http-equiv="refresh" content="3">' if live else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sandbox</title>{refresh}'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head><body>'
        "<header><h1>Sandbox</h1><p>No real text is sent. This stands in for Ocelot and shows what it received. "
        f"{link}{portal}</p></header><main>{''.join(sections)}</main></body></html>"
    )


# --- what happened ---------------------------------------------------------------------------------------------------
def _texts(twins: Twins) -> str:
    sent = twins.ocelot.sent
    rows = [
        (
            _number(each["at"][11:19]),
            _number(each["to"]),
            _Cell(each["text"], "text"),
            _number(each["from"]),
            each["fate"],
        )
        for each in reversed(sent[-SHOWN:])
    ]
    table = _table(("At", "To", "Text", "From", "What becomes of it"), rows, "No text has arrived yet.")
    return _section("Texts accepted", f"{len(sent):,}{_newest(len(sent))}", table)


def _callbacks(twins: Twins) -> str:
    rows = [_callback(each) for each in reversed(twins.callbacks.newest(SHOWN))]
    table = _table(("Due", "About", "Says", "Answers of the portal", "State"), rows, "Nothing was called back yet.")
    return _section("Calls to the portal", f"newest {SHOWN}; {twins.callbacks.waiting:,} owed", table)


def _callback(call: Call) -> tuple[str | _Cell, ...]:
    answers = ", ".join(result for _, result in call.attempts)
    bad = call.state in ("given up", "nowhere to go")
    return (
        _number(f"{call.due:%H:%M:%S}"),
        call.kind,
        _Cell(_gist(call.body), "text"),
        _Cell(answers, "text"),
        _Cell(call.state, "bad" if bad else ""),
    )


def _gist(body: bytes) -> str:
    """What a call says, in one line: each status with how many texts it is about, or the event's name and its text."""
    payload = json.loads(body)
    items = payload if isinstance(payload, list) else [payload]
    words: dict[str, int] = {}
    for item in items:
        told = [item.get("status") or item.get("name", ""), item.get("errorCode", ""), item.get("message", "")]
        word = " · ".join(filter(None, told))
        words[word] = words.get(word, 0) + 1
    return "\n".join(f"{word} × {times}" if times > 1 else word for word, times in words.items())


def _lists(twins: Twins) -> str:
    found = list(twins.ocelot.lists.values())
    rows = [(each.name, ", ".join(each.tags), f"{len(each.contacts):,}", each.id) for each in found[-SHOWN:]]
    return _section("Contact lists", f"{len(found):,}", _table(("Name", "Tags", "Contacts", "Id"), rows, "None."))


def _requests(twins: Twins) -> str:
    seen = list(twins.requests)
    rows = [
        (_number(f"{each.at:%H:%M:%S}"), each.method, _Cell(each.path, "text"), str(each.status or "–"), each.fault)
        for each in reversed(seen[-15:])
    ]
    return _section("Requests", "newest 15", _table(("At", "Method", "Path", "Answer", "Fault"), rows, "None."))


# --- what can be made to happen --------------------------------------------------------------------------------------
def _reply_form() -> str:
    fields = (
        _input("from", "Student's number", value="312-555-0100"),
        _select("to", "writes to", [each.phone for each in OWN_NUMBERS]),
        _input("text", "Text", value="Thank you!"),
    )
    return _section("A student writes", "STOP and START opt out and in", _form("reply", fields, "Send the reply"))


def _webhooks(twins: Twins) -> str:
    titles = {"sms": "SMS webhook", "incoming": "Replies", "campaign": "Campaigns", "opt": "Opt in/out"}
    urls = twins.ocelot.webhooks
    fields = [_input(name, title, value=urls[name], required=False) for name, title in titles.items()]
    return _section("Integrations", "addresses of the portal", _form("webhooks", fields, "Save the addresses"))


def _faults(twins: Twins) -> str:
    rows = [
        (each.kind, each.on, "always" if each.times is None else f"next {each.times}", f"{each.share:.0%}")
        for each in twins.faults.rules
    ]
    fields = (
        _select("kind", "What goes wrong", list(KINDS), titles=[f"{name}: {what}" for name, what in KINDS.items()]),
        _select("on", "With", list(ROUTES)),
        _input("times", "How often (blank: always)", kind="number", required=False),
        _input("latency_ms", "Slower by ms", kind="number", required=False),
    )
    clear = _form("faults", ['<input type="hidden" name="clear" value="1">'], "Clear all faults", quiet=True)
    body = (
        _table(("Fault", "With", "When", "Share"), rows, "Nothing goes wrong.") + _form("faults", fields, "Add") + clear
    )
    return _section("Faults", "", body)


def _switches(twins: Twins) -> str:
    shape = _select("send_shape", "Answer to a send", list(SHAPES), chosen=twins.ocelot.switches.send_shape)
    style = _select(
        "reply_style", "Replies come as", ["webhook_api", "campaign"], chosen=twins.ocelot.switches.reply_style
    )
    rows = [(name, str(value)) for name, value in twins.ocelot.switches.as_json().items()]
    body = _table(("Open question", "Answered with"), rows, "") + _form("faults", (shape, style), "Switch")
    reset = _form("reset", (), "Forget everything", quiet=True)
    return _section("What the documents leave open", "", body + reset)


def _fates() -> str:
    rows = [(f"…-555-{last}", fate.title) for last, fate in FATES.items()]
    table = _table(("Text to", "What becomes of it"), [*rows, ("any other", "delivered")], "")
    return _section("Magic numbers", "any area code", table)


# --- pieces of HTML --------------------------------------------------------------------------------------------------
class _Cell:
    """A cell with a class of its own."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name


def _section(title: str, note: str, body: str) -> str:
    return f"<section><h2>{escape(title)} <small>{escape(note)}</small></h2>{body}</section>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str | _Cell]], when_empty: str) -> str:
    lines = "".join(f"<tr>{''.join(map(_td, heads, row))}</tr>" for row in rows)
    if not lines:
        return f'<p class="none">{escape(when_empty)}</p>'
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'


def _td(head: str, cell: str | _Cell) -> str:
    given = cell if isinstance(cell, _Cell) else _Cell(cell, "")
    return f'<td class="{given.name}" data-head="{escape(head)}">{escape(given.text)}</td>'


def _form(action: str, fields: Iterable[str], button: str, *, quiet: bool = False) -> str:
    name = ' class="quiet"' if quiet else ""
    body = f"{''.join(fields)}<button{name}>{escape(button)}</button>"
    return f'<form method="post" action="/_sandbox/{action}">{body}</form>'


def _input(name: str, label: str, *, value: str = "", kind: str = "text", required: bool = True) -> str:
    more = " required" if required else ""
    field = f'<input type="{kind}" name="{name}" value="{escape(value)}"{more}>'
    return f"<label>{escape(label)}{field}</label>"


def _select(name: str, label: str, values: Sequence[str], *, titles: Sequence[str] = (), chosen: str = "") -> str:
    options = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(title)}</option>'
        for value, title in zip(values, titles or values, strict=True)
    )
    return f'<label>{escape(label)}<select name="{name}">{options}</select></label>'


def _number(text: str) -> _Cell:
    return _Cell(text, "number")


def _newest(total: int) -> str:
    return f", newest {SHOWN} shown" if total > SHOWN else ""
