"""The sandbox's own addresses: its page at /, and /_sandbox/… to see what it received and to tell it how to behave."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from smsportal.sandbox import page
from smsportal.sandbox.exchange import Answer, Refusal, Request, as_html, as_json
from smsportal.sandbox.faults import KINDS, ROUTES
from smsportal.sandbox.ocelot.fates import FATES, OWN_NUMBERS, digits, e164
from smsportal.sandbox.ocelot.shapes import SHAPES

if TYPE_CHECKING:
    from smsportal.sandbox.app import Twins

SHOWN = 1000  # texts in one answer of the log, unless ?limit= asks for another number


def handle(twins: Twins, request: Request) -> Answer:
    """The answer to a request that is for the sandbox itself, not for a twin."""
    try:
        if request.method in ("GET", "HEAD"):
            return _show(twins, request)
        if request.method == "POST":
            return _change(twins, request)
        raise Refusal(404, f"Cannot {request.method} {request.path}")
    except Refusal as refusal:
        return refusal.answer()
    except (ValueError, TypeError, KeyError) as wrong:
        return Refusal(400, f"That cannot be done: {wrong}").answer()


def _show(twins: Twins, request: Request) -> Answer:
    if request.path == "/":
        return as_html(200, page.render(twins, live="live" in request.query))
    if request.path == "/_sandbox/log":
        with twins.lock:
            sent = twins.ocelot.sent[-int(request.query.get("limit", SHOWN)) :]
        return as_json(200, {"sent": sent})
    if request.path == "/_sandbox/state":
        return as_json(200, _state(twins))
    raise Refusal(404, f"Cannot {request.method} {request.path}")


def _state(twins: Twins) -> dict[str, Any]:
    with twins.lock:
        ocelot = twins.ocelot
        return {
            "now": twins.clock().isoformat(),
            "sent": len(ocelot.sent),
            "owed": twins.callbacks.waiting,
            "lists": [{**each.as_json(), "contacts": len(each.contacts)} for each in ocelot.lists.values()],
            "opted_out": sorted(ocelot.opted_out),
            "webhooks": ocelot.webhooks,
            "switches": ocelot.switches.as_json(),
            "faults": twins.faults.as_json(),
            "callbacks": [each.as_json() for each in twins.callbacks.newest(100)],
            "numbers": [each.phone for each in OWN_NUMBERS],
            "fates": {last: fate.title for last, fate in FATES.items()},
            "can_be": {"faults": KINDS, "routes": ROUTES, "send_shapes": list(SHAPES)},
        }


def _change(twins: Twins, request: Request) -> Answer:
    _refuse_strangers(request)
    from_page = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    given: Any = request.form() if from_page else (request.json() if request.body else {})
    action = ACTIONS.get(request.path)
    if not action:
        raise Refusal(404, f"Cannot {request.method} {request.path}")
    with twins.lock:
        action(twins, given)
    return Answer(303, {"Location": "/"}) if from_page else as_json(200, _state(twins))


def _refuse_strangers(request: Request) -> None:
    """A page of another site must not reach into the sandbox through somebody's browser."""
    origin = request.headers.get("origin", "")
    if origin and urlsplit(origin).netloc != request.headers.get("host", ""):
        raise Refusal(403, "Only the sandbox's own page may do that")


def _faults(twins: Twins, given: Any) -> None:
    """{"clear": true} · a fault, or {"faults": [fault, …]} · any switch by its name; all of these at once if wanted."""
    given = {name: value for name, value in dict(given).items() if value != ""}  # fields left blank in the form
    if given.pop("clear", False):
        twins.faults.clear()
    for each in given.pop("faults", []):
        twins.faults.add_json(each)
    switches = {name: given.pop(name) for name in list(given) if name in twins.ocelot.switches.as_json()}
    if switches.get("send_shape", "object") not in SHAPES:
        raise ValueError(f"send_shape is one of {', '.join(SHAPES)}.")
    twins.ocelot.switches.change(switches)
    if given:
        twins.faults.add_json(given)


def _webhooks(twins: Twins, given: Any) -> None:
    """{"sms": url, "incoming": url, "campaign": url, "opt": url}, or {"all": url}."""
    known = twins.ocelot.webhooks
    wanted = dict.fromkeys(known, given["all"]) if "all" in given else dict(given)
    for name, url in wanted.items():
        if name not in known or (url and not str(url).startswith(("http://", "https://"))):
            raise ValueError(f"{name}: there are {', '.join(known)}, and each is an http(s) address or blank.")
    known.update(wanted)


def _reply(twins: Twins, given: Any) -> None:
    """{"from": student's number, "to": our number, "text": …}; without `to` it is the number that texted them last."""
    sender = _number(given["from"])
    sent = [each["from"] for each in twins.ocelot.sent if each["e164"] == e164(sender)]
    to = given.get("to") or (sent[-1] if sent else OWN_NUMBERS[0].phone)
    twins.ocelot.hooks.reply(sender=sender, to=_number(to), text=str(given["text"]))


def _opt(twins: Twins, given: Any) -> None:
    """{"number": …, "out": true or false}: staff opt somebody out or in at Ocelot."""
    twins.ocelot.hooks.opt(_number(given["number"]), out=given.get("out", True) in (True, "true", "on", "1"))


def _campaign(twins: Twins, given: Any) -> None:
    """{"to": …, "text": …, "status": …, "error": …}: a campaign run at Ocelot texted somebody."""
    status, error = given.get("status", "delivered"), given.get("error", "")
    twins.ocelot.hooks.campaign(_number(given["to"]), str(given["text"]), status=status, error=error)


def _number(given: Any) -> str:
    if len(digits(str(given))) != 10:
        raise ValueError(f"{given} is not a US number.")
    return str(given)


def _reset(twins: Twins, given: Any) -> None:
    twins.reset()


ACTIONS: dict[str, Callable[[Twins, Any], None]] = {
    "/_sandbox/faults": _faults,
    "/_sandbox/webhooks": _webhooks,
    "/_sandbox/reply": _reply,
    "/_sandbox/opt": _opt,
    "/_sandbox/campaign": _campaign,
    "/_sandbox/reset": _reset,
}
