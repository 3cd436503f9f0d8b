"""What the Ocelot twin tells the portal: statuses of texts, replies, campaign activity, opt-ins and opt-outs.

Sources: Texting API document ("Campaign SMS webhook", "Global Opt In/Out webhook", "Callback payload samples"); the event
of a reply to a 1:1 text is the one of Ocelot's Webhook API (support page "Webhook API").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypedDict
from uuid import uuid4

from smsportal.sandbox.callbacks import Callbacks
from smsportal.sandbox.ocelot.fates import digits, e164
from smsportal.sandbox.ocelot.lists import Lists, stamp
from smsportal.sandbox.ocelot.switches import Switches

CAMPAIGN = "5f80ac6204d2db0027f53139"  # the campaign every campaign event belongs to; the documents' sample id
KEPT_REPLIES = 5000

# The phrases Ocelot recognises for 1:1 and campaigns ("Navigating and managing campaigns FAQs"). Those that opt in are
# not documented.
STOP_PHRASES = ("do not message", "do not text", "quit", "stop", "take me off your list", "unsubscribe")
START_PHRASES = ("start", "unstop")

Reply = TypedDict("Reply", {"from": str, "to": str, "text": str, "at": str})


def dashed(number: str) -> str:
    """A number as the samples write it: 123-456-7890."""
    ten = digits(number)
    return f"{ten[:3]}-{ten[3:6]}-{ten[6:]}" if len(ten) == 10 else number


class Hooks:
    """The "Integrations" page of the Admin Portal: which addresses are called, and the calls to them.

    `urls` has `sms` (statuses), `incoming` (replies, as the Webhook API sends them), `campaign` and `opt`. An event whose
    own address is blank goes to `sms`, except opt events: those have their own address or none.
    """

    def __init__(self, callbacks: Callbacks, clock: Callable[[], datetime], lists: Lists, switches: Switches) -> None:
        self.callbacks = callbacks
        self.clock = clock
        self.lists = lists
        self.switches = switches
        self.urls = {"sms": "", "incoming": "", "campaign": "", "opt": ""}
        self.replies: deque[Reply] = deque(maxlen=KEPT_REPLIES)
        self.opted_out: set[str] = set()  # E.164

    def statuses(self, url: str, events: list[dict[str, Any]], *, after_s: float) -> None:
        """Tell of several texts at once; `url` is the batch's smsWebhookUri, which overrides the configured address."""
        self.callbacks.owe(url or self.urls["sms"], "status", events, after_s=after_s)

    def reply(self, *, sender: str, to: str, text: str, after_s: float = 0) -> None:
        """The student `sender` writes `text` to our number `to`; a stop or start phrase opts them out or in."""
        at = stamp(self.clock() + timedelta(seconds=after_s))
        self.replies.append({"from": dashed(sender), "to": dashed(to), "text": text, "at": at})
        url = self.urls["incoming"] or self.urls["sms"]
        event: dict[str, Any] = {
            "eventId": str(uuid4()),
            "name": "IncomingSms.received",
            "message": text,
            "dateTime": at,
        }
        payload: object = {**event, "to": dashed(to), "from": dashed(sender), "triggerType": "Inbound"}
        if self.switches.reply_style == "campaign":
            url = self.urls["campaign"] or self.urls["sms"]
            payload = [self._of_campaign(event, sender, "inbound")]
        self.callbacks.owe(url, "reply", payload, after_s=after_s)
        said = " ".join(text.casefold().split()).strip(".!")
        if said in STOP_PHRASES:
            self.opt(sender, out=True, after_s=after_s)
        elif said in START_PHRASES:
            self.opt(sender, out=False, after_s=after_s)

    def opt(self, number: str, *, out: bool, after_s: float = 0) -> None:
        """The person is opted out (or in again) at Ocelot, by a reply or by staff there."""
        (self.opted_out.add if out else self.opted_out.discard)(e164(number))
        event = {
            "eventId": str(uuid4()),
            "referenceField": {"type": "PhoneNumber", "name": "Phone_Number", "value": dashed(number)},
            "dateTime": stamp(self.clock() + timedelta(seconds=after_s)),
            "name": "PhoneNumber.optedOut" if out else "PhoneNumber.optedIn",
        }
        self.callbacks.owe(self.urls["opt"], "opt", event, after_s=after_s)

    def campaign(self, number: str, text: str, *, status: str = "delivered", error: str = "") -> None:
        """A campaign run at Ocelot texted somebody. Documented to be told, but not under which names (A9)."""
        event: dict[str, Any] = {"eventId": str(uuid4()), "name": "OutgoingSms.statusChanged", "message": text}
        event |= {"dateTime": stamp(self.clock()), "status": status}
        if error:
            event["errorCode"] = error
        payload = [self._of_campaign(event, number, "outbound")]
        self.callbacks.owe(self.urls["campaign"] or self.urls["sms"], "campaign", payload)

    def _of_campaign(self, event: dict[str, Any], number: str, trigger: str) -> dict[str, Any]:
        fields = self.lists.fields_of(dashed(number))
        return {**event, "contactFields": fields, "triggerType": trigger, "campaignId": CAMPAIGN}
