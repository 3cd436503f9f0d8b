"""The Ocelot client: contact lists and their contacts, 1:1 texts, sender numbers, transcripts.

Sources: "Ocelot API" and "Texting API" (both 1.0.0-beta2) and the guide "Working with Ocelot SMS API"; Basic
authentication with the chatbot's UUID and the API key. Where they are silent, what is assumed is named A1 to A13 and
explained, with the option that changes it, in docs/providers/ocelot.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import quote

from smsportal.providers import signing
from smsportal.providers.base import (
    Abilities,
    Account,
    AddReport,
    Answer,
    ContactPage,
    Envelope,
    Event,
    Outgoing,
    Provider,
    RemoteContact,
    RemoteList,
    RemoteSender,
    RemoteTurn,
    Secret,
    Trouble,
)
from smsportal.providers.errors import (
    Garbled,
    Invalid,
    Misconfigured,
    Missing,
    ProviderError,
    TooLarge,
    Unable,
)
from smsportal.providers.http import Http, Reply
from smsportal.providers.ocelot import answers, events, statuses
from smsportal.providers.ocelot.schemas import MAX_TEXT, MAX_TEXTS, checked
from smsportal.providers.ocelot.wording import (
    contact_from,
    contacts_body,
    list_body,
    send_body,
    sender_from,
    to_ocelot,
    turn_from,
)

# --- limits and links ------------------------------------------------------------------------------------------------
LISTS: Final = "/contact-list"
SEND: Final = "/sms/send/"  # with its slash: the guide's address; a redirect would turn the POST into a GET
PAGE: Final = 100  # the documents' own sample asks for 100; the answer's length decides where the next page begins (A5)
MAX_PAGES: Final = 10_000
MAX_ROWS: Final = 5000  # of a lookup
NO_LIST: Final = "000000000000000000000000"  # a well-formed id that no list has

# What an account's options may change, and what holds when they are silent.
DEFAULTS: Final[Mapping[str, str]] = {
    "replace_verb": "PUT",  # A1
    "number_format": "dashes",  # A3: 312-555-0100; or "e164"
    "contacts_per_call": "500",  # A4
    "phone_numbers_path": "/sms/phone-numbers",  # A8
    "transcripts_path": "/sms/transcripts",  # A8
    "lookup_verb": "POST",  # A8
    "requests_per_s": "5",  # A13; over plain http, where only twins are, there is no pace unless it is set
}
_NO_ROUTE = re.compile(r"Cannot (GET|PUT|POST|PATCH|DELETE) /")  # how NestJS says that the path is none of its own


class Ocelot(Provider):
    """One Ocelot account. `send` is never repeated by itself: Ocelot recognises no repetition."""

    name: ClassVar[str] = "ocelot"
    title: ClassVar[str] = "Ocelot"
    address: ClassVar[str] = "https://ai.ocelotbot.com/api/v1"  # Contact List API, "base API endpoint"
    # --- abilities ---------------------------------------------------------------------------------------------------
    abilities: ClassVar[Abilities] = Abilities(
        max_per_call=MAX_TEXTS,
        max_text=MAX_TEXT,
        accepts_as_one=True,
        mirrors_contacts=True,
        lists_senders=True,
        shows_transcripts=True,
        needs_operator=True,
    )
    secrets: ClassVar[tuple[Secret, ...]] = (
        Secret("chatbot_uuid", "Chatbot UUID"),
        Secret("api_key", "Ocelot API key"),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        user, key = account.secrets.get("chatbot_uuid", ""), account.secrets.get("api_key", "")
        self._has_keys = bool(user and key)
        self._http = Http(
            account.base_url,
            title=self.title,
            headers={"Authorization": signing.basic(user, key)},
            secrets=(key,),
            per_second=self._pace(),
        )

    # --- send --------------------------------------------------------------------------------------------------------
    def connect(self) -> None:
        self._need_keys()
        self._http.open()

    def send(self, envelope: Envelope, texts: Sequence[Outgoing]) -> Answer:
        """Texting API, "Send 1:1 SMS". Raises Invalid before anything leaves when the call breaks the schema."""
        self._need_keys()
        body = checked("send", send_body(envelope, texts, self._option("number_format")))
        reply = self._http.send(SEND, body)
        batch, receipts = _read(reply, lambda answer: answers.receipts(answer, texts))
        return Answer(receipts, batch, reply.status, reply.shown)

    def check(self) -> None:
        """Read a list that is not there: 404 means that the keys are right. Nothing is written."""
        try:
            self.read_list(NO_LIST)
        except Missing:
            return

    # --- mirror ------------------------------------------------------------------------------------------------------
    def create_list(self, wanted: RemoteList) -> RemoteList:
        return _read(self._ask("POST", LISTS, checked("list", list_body(wanted))), answers.one_list)

    def read_list(self, remote_id: str) -> RemoteList:
        return _read(self._ask("GET", _path(remote_id)), answers.one_list)

    def replace_list(self, remote_id: str, wanted: RemoteList) -> RemoteList:
        body = checked("list", list_body(wanted))
        return _read(self._ask(self._option("replace_verb"), _path(remote_id), body), answers.one_list)

    def replace_list_by_name(self, wanted: RemoteList) -> RemoteList:
        body = checked("list", list_body(wanted))
        return _read(self._ask(self._option("replace_verb"), LISTS, body), answers.one_list)

    def delete_list(self, remote_id: str) -> None:
        try:
            self._ask("DELETE", _path(remote_id))
        except Missing:
            return

    def add_contacts(self, remote_id: str, contacts: Sequence[RemoteContact]) -> AddReport:
        """Contact List API, "Creates contacts" (A2). Raises TooLarge above `contacts_per_call`: give fewer at a time."""
        most = int(self._number("contacts_per_call"))
        if len(contacts) > most:
            raise TooLarge(f"At most {most} contacts go to Ocelot in one call.")
        body = checked("contacts", contacts_body(contacts, self._option("number_format")))
        reply = self._ask("POST", _path(remote_id, "contacts"), body)
        return answers.report(reply.json(), contacts)

    def contact_pages(self, remote_id: str) -> Iterator[ContactPage]:
        """Contact List API, "Lists contact list contacts".

        Ends at the total or at an empty page. Paging by number is unstable while others write: compare what came with
        `total` before calling anything missing (A5). Raises Garbled when the pages do not move on.
        """
        skip, before = 0, None
        for _ in range(MAX_PAGES):
            reply = self._ask("GET", _path(remote_id, "contacts"), query={"limit": PAGE, "skip": skip})
            rows, total = _read(reply, answers.page)
            if rows and rows == before:
                raise Garbled("Ocelot repeats the same page of contacts.", status=reply.status, body=reply.shown)
            yield ContactPage(
                tuple(contact_from(row) for row in rows), skip + len(rows) if total is None else total, skip
            )
            skip, before = skip + len(rows), rows
            if not rows or (total is not None and skip >= total):
                return
        raise Garbled(f"Ocelot has more than {MAX_PAGES:,} pages of contacts.")

    # --- lookups -----------------------------------------------------------------------------------------------------
    def senders(self, operator: str) -> list[RemoteSender]:
        """Texting API, "Get 1:1 phone numbers": those `operator` may send from."""
        rows = self._look_up("phone numbers", {"operator": operator, "orderBy": "label", "order": "ASC"})
        return [sender_from(row) for row in rows if row.get("phoneNumber")]

    def transcript(self, operator: str, number: str) -> list[RemoteTurn]:
        """Texting API, "Get transcripts": the turns with one number, oldest first."""
        wanted = to_ocelot(number, self._option("number_format"))
        asked = {"operator": operator, "phoneNumber": wanted, "orderBy": "timestamp", "order": "ASC"}
        return [turn_from(row) for row in self._look_up("transcripts", asked)]

    def _look_up(self, kind: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        option = "phone_numbers_path" if kind == "phone numbers" else "transcripts_path"
        found: list[dict[str, Any]] = []
        while len(found) < MAX_ROWS:
            body = checked(kind, {**asked, "skip": len(found), "limit": PAGE})
            try:
                reply = self._ask(self._option("lookup_verb"), self._option(option), body)
            except (Missing, Misconfigured) as none:
                if none.status not in (404, 405):
                    raise
                raise Unable(
                    f"Ocelot tells no {kind} at {self._option(option)}. Its documents do not state the address; "
                    f"ask Ocelot and enter it as the option {option} of the account. ({none.text})",
                    status=none.status,
                    body=none.body,
                ) from none
            rows, total = _read(reply, answers.page)
            found += rows
            if not rows or (len(found) >= total if total is not None else len(rows) < PAGE):
                break
        return found

    # --- errors and parse --------------------------------------------------------------------------------------------
    @classmethod
    def explain(cls, code: str, said: str = "") -> Trouble:
        if code.isdigit():
            return super().explain(code, said)
        known = statuses.failure(code)
        return Trouble(known.title, known.text, known.again)

    @classmethod
    def parse(cls, payload: object) -> Iterator[Event]:
        return events.parse(payload)

    # --- within ------------------------------------------------------------------------------------------------------
    def _option(self, name: str) -> str:
        return str(self.account.options.get(name) or DEFAULTS[name])

    def _pace(self) -> float | None:
        if self.account.base_url.startswith("https://") or self.account.options.get("requests_per_s"):
            return self._number("requests_per_s") or None
        return None

    def _number(self, option: str) -> float:
        """An option that is a number; one that is none counts as not set."""
        given = self._option(option)
        return float(given if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", given) else DEFAULTS[option])

    def _need_keys(self) -> None:
        if not self._has_keys:
            raise Misconfigured("The account has no chatbot UUID or no API key; enter them.")

    def _ask(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        query: Mapping[str, str | int] | None = None,
    ) -> Reply:
        self._need_keys()
        try:
            return self._http.ask(method, path, body=body, query=query)
        except Missing as missing:
            # Nobody may take a wrong address for a record that is gone.
            if _NO_ROUTE.search(missing.text) or missing.body.lstrip().startswith("<"):
                raise _wrong_address(missing) from missing
            raise


T = TypeVar("T")


def _read(reply: Reply, how: Callable[[object], T]) -> T:
    """What `how` makes of the decoded answer; when it cannot, the error tells status and body."""
    try:
        return how(reply.json())
    except Garbled as wrong:
        raise Garbled(wrong.text, status=reply.status, body=reply.shown) from None


def _path(remote_id: str, *more: str) -> str:
    """The address of one list. A blank id would make it the address of all lists, and DELETE is one of the verbs."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,120}", remote_id):
        raise Invalid("The list has no usable id of Ocelot's; the request was stopped before it left.")
    return "/".join([LISTS, quote(remote_id, safe=""), *more])


def _wrong_address(missing: ProviderError) -> Misconfigured:
    return Misconfigured(
        f"There is no Ocelot API at the account's address; correct it. {missing.text}",
        status=missing.status,
        body=missing.body,
    )
