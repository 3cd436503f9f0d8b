"""The contract between the portal and any provider: what it can do, what it is given and what it gives back."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from itertools import islice
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

from smsportal.providers.errors import Unable


class Delivery(IntEnum):
    """How far a text is known to have come. Ranks: news of a higher rank wins, whatever the order it arrives in."""

    NONE = 0
    ACCEPTED = 10  # queued by the provider
    CARRIER = 20  # handed to a carrier
    SENT = 30
    TEMPORARY_FAILURE = 40  # the provider is still trying
    UNCONFIRMED = 50  # the provider itself does not know
    FAILED = 60
    DELIVERED = 70  # above FAILED: a handset's receipt is positive evidence
    READ = 80


class EventKind(StrEnum):
    """What a webhook item tells."""

    RECEIPT = "receipt"
    REPLY = "reply"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    UNRECOGNISED = "unrecognised"  # kept and shown, changes nothing


@dataclass(frozen=True, slots=True)
class Account:
    """One account at a provider, as a provider needs it. `repr` never shows the secrets."""

    slug: str
    provider: str
    base_url: str
    secrets: Mapping[str, str] = field(repr=False, default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a provider can do, as data; nobody asks for its name."""

    channels: tuple[str, ...] = ("sms",)
    max_per_call: int = 1
    max_text: int = 1600  # characters
    shared_text: bool = False  # one text per call, whoever it goes to
    repeat_is_safe: bool = False  # it recognises a repeated request by our key
    accepts_as_one: bool = False  # a batch is validated and accepted as a whole: one receipt proves all
    reports_delivery: bool = True
    mirrors_contacts: bool = False
    changes_contacts: bool = False  # can change or remove one contact
    lists_senders: bool = False
    shows_transcripts: bool = False
    needs_operator: bool = False


class Secret(NamedTuple):
    """One credential an account needs: its key in `Account.secrets` and what staff call it."""

    key: str
    label: str


# --- sending ---------------------------------------------------------------------------------------------------------
class Outgoing(NamedTuple):
    """One text to one number. `reference` is our id of this attempt, echoed in receipts. A tuple, for there are many."""

    to: str  # E.164
    text: str
    reference: str
    contact_reference: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all texts of one call share."""

    sender: str  # E.164 or a name
    operator: str = ""
    callback_url: str = ""
    request_key: str = ""  # the same for every repetition of this call
    options: Mapping[str, str] = field(default_factory=dict)


class Fate(StrEnum):
    """What the answer to a send says of one text."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"  # the answer does not mention it


class Receipt(NamedTuple):
    """What the answer to a send says of one text. `remote_id` is blank when the answer names none. There are many, too."""

    reference: str
    fate: Fate
    remote_id: str = ""
    error_code: str = ""
    error_text: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered to one send: a receipt for every text given, in the same order."""

    receipts: tuple[Receipt, ...]
    remote_id: str = ""  # the provider's id of the whole call
    status: int = 200
    body: str = ""  # the first 2,000 characters, secrets masked


# --- mirroring -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class RemoteField:
    """One field of a list's schema, in the words of Ocelot's documents."""

    type: str
    name: str
    display_name: str
    required: bool = False
    unique: bool = False


@dataclass(frozen=True, slots=True)
class RemoteList:
    """A contact list as it stands, or should stand, at a provider. `fields` are those beyond the default four."""

    name: str
    tags: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[RemoteField, ...] = ()
    remote_id: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoteContact:
    """A contact as it stands, or should stand, at a provider; `fields` maps a field's name to (type, value)."""

    fields: Mapping[str, tuple[str, str]]
    active: bool = True

    def value(self, name: str) -> str:
        return self.fields.get(name, ("", ""))[1]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A contact the provider did not take, and why in its own words."""

    contact: RemoteContact
    text: str


@dataclass(frozen=True, slots=True)
class AddReport:
    """What became of one call that adds contacts: all given were stored but the rejected."""

    rejected: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ContactPage:
    """One page of a remote list; `total` is the provider's own count at that moment."""

    contacts: tuple[RemoteContact, ...]
    total: int
    skip: int


@dataclass(frozen=True, slots=True)
class RemoteSender:
    """A number we may send from."""

    address: str
    label: str = ""
    description: str = ""
    campaign_ids: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RemoteTurn:
    """One line of a transcript."""

    sender: str
    recipient: str
    sender_type: str
    text: str
    at: datetime | None


# --- what comes back -------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Event:
    """One element of a webhook call, in our words. `key` is the same for every repetition of the same news."""

    kind: EventKind
    key: str
    raw: Mapping[str, Any]
    reference: str = ""
    remote_id: str = ""
    remote_batch_id: str = ""
    delivery: Delivery = Delivery.NONE
    status: str = ""  # the provider's own word
    error_code: str = ""
    error_text: str = ""  # a sentence for staff
    blocked_by_person: bool = False  # the recipient refuses our texts: as good as an opt-out
    number: str = ""  # the person's number, as the provider wrote it
    sender: str = ""  # our number, as the provider wrote it
    text: str = ""
    at: datetime | None = None
    problem: str = ""  # for UNRECOGNISED: what is not understood


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an error code means to staff. `again`: whether the same text to the same number may arrive another time."""

    title: str
    advice: str
    again: bool


class Provider(ABC):
    """One provider. Instances belong to one account; they hold no state and may be used by many threads.

    Every method that calls out raises `smsportal.providers.errors.ProviderError` and nothing else.
    """

    name: ClassVar[str]  # registry key = module = environment prefix = URL part = docs page
    title: ClassVar[str]
    address: ClassVar[str] = ""  # where its API begins when an account does not say; blank: every account must
    abilities: ClassVar[Abilities]
    secrets: ClassVar[tuple[Secret, ...]]

    def __init__(self, account: Account) -> None:
        self.account = account

    @abstractmethod
    def connect(self) -> None:
        """Open the connection the next send will use, so that a failure here is known not to have sent anything."""

    @abstractmethod
    def send(self, envelope: Envelope, texts: Sequence[Outgoing]) -> Answer:
        """Send 1 to `abilities.max_per_call` texts in one request that is never repeated by itself."""

    @abstractmethod
    def check(self) -> None:
        """Ask something harmless to learn whether address and credentials are right; raises when they are not."""

    @classmethod
    def explain(cls, code: str, said: str = "") -> Trouble:
        """What `code`, as it stands in a Receipt or an Event, means. `said`: what the portal noted of one such text.

        Providers know their own codes; here is what holds for all: the statuses of HTTP, and none at all.
        """
        if re.fullmatch(r"4\d\d", code):
            advice = f"{said or f'{cls.title} refused it.'} Correct the text or the number, then write to them anew."
            return Trouble("Refused by the provider", advice, again=False)
        if code:
            return Trouble(f"Failed: {code}", f"{said} Ask {cls.title} what “{code}” means.".strip(), again=False)
        return Trouble("No reason given", said or f"{cls.title} gave no reason. Try again later.", again=True)

    @classmethod
    @abstractmethod
    def parse(cls, payload: object) -> Iterator[Event]:
        """The events in one decoded webhook body, one per element; never raises, whatever the payload is."""

    def create_list(self, wanted: RemoteList) -> RemoteList:
        raise Unable(f"{self.title} keeps no contact lists.")

    def read_list(self, remote_id: str) -> RemoteList:
        raise Unable(f"{self.title} keeps no contact lists.")

    def replace_list(self, remote_id: str, wanted: RemoteList) -> RemoteList:
        """Reset the list's name, tags, meta and fields. It also removes every contact in it."""
        raise Unable(f"{self.title} keeps no contact lists.")

    def replace_list_by_name(self, wanted: RemoteList) -> RemoteList:
        raise Unable(f"{self.title} keeps no contact lists.")

    def delete_list(self, remote_id: str) -> None:
        """Delete the list; one that is already gone counts as deleted."""
        raise Unable(f"{self.title} keeps no contact lists.")

    def add_contacts(self, remote_id: str, contacts: Sequence[RemoteContact]) -> AddReport:
        raise Unable(f"{self.title} keeps no contacts.")

    def contact_pages(self, remote_id: str) -> Iterator[ContactPage]:
        raise Unable(f"{self.title} keeps no contacts.")

    def senders(self, operator: str) -> list[RemoteSender]:
        raise Unable(f"{self.title} does not tell its numbers.")

    def transcript(self, operator: str, number: str) -> list[RemoteTurn]:
        raise Unable(f"{self.title} shows no transcripts.")


class Worded(Protocol):
    """Anything with a text for one person."""

    @property
    def text(self) -> str: ...


W = TypeVar("W", bound=Worded)


def pack(texts: Iterable[W], abilities: Abilities) -> Iterator[tuple[W, ...]]:
    """Cut texts into calls of at most `max_per_call`; where a call carries one text, equal texts go together."""
    groups: dict[str, list[W]] = {}
    for each in texts:
        groups.setdefault(each.text if abilities.shared_text else "", []).append(each)
    for group in groups.values():
        rest = iter(group)
        while call := tuple(islice(rest, abilities.max_per_call)):
            yield call
