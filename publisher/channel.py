"""What an adapter is. Plug-in authors read this one file.

An adapter speaks to one kind of service. It is a class registered under the entry point group
``publisher.adapters``; ours are found exactly as a third party's are. The core owns the order of a send: it
renders and seals a :class:`Variant`, fills in the canonical link, asks :meth:`Adapter.prepare` for the exact
request, commits the intention to send, and only then calls :meth:`Adapter.publish`, once.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from publisher.announcement import Bilingual, Language

# --- What an adapter is given -----------------------------------------------------------------------


class Kind(StrEnum):
    """The three kinds of variant."""

    POST = "post"
    NEWSLETTER = "newsletter"
    SUMMARY = "summary"


class Layout(StrEnum):
    """How two languages share a channel: side by side, one after the other, or one post each."""

    PAIRED = "paired"
    STACKED = "stacked"
    SEPARATE = "separate"


class MediaType(StrEnum):
    """What the bytes of a part are; decides how links are escaped in it."""

    TEXT = "text/plain"
    HTML = "text/html"
    JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Template:
    """One part of a variant and the template that renders it.

    ``languages`` narrows the part to these languages, for a site that has a page a language beside the page of
    both; ``None`` renders it in all languages of the variant. A part none of whose languages the channel has is
    left out.
    """

    part: str
    file: str
    languages: tuple[Language, ...] | None = None

    @property
    def media_type(self) -> MediaType:
        """HTML for ``.html`` and ``.mjml`` templates, else text."""
        return MediaType.HTML if self.file.endswith((".html", ".mjml")) else MediaType.TEXT


TEMPLATES: Mapping[Kind, tuple[Template, ...]] = {
    Kind.POST: (Template("title", "website/title.txt"), Template("body", "website/post.html")),
    Kind.NEWSLETTER: (
        Template("subject", "newsletter/subject.txt"),
        Template("html", "newsletter/message.mjml"),
        Template("text", "newsletter/message.txt"),
    ),
    Kind.SUMMARY: (Template("text", "social/summary.txt"),),
}
"""The parts every variant of a kind has, unless the adapter names its own."""

PERSONAL_TEMPLATES: tuple[Template, ...] = tuple(
    Template(f"{part}{suffix}", file, languages)
    for suffix, languages in {"": None, "_zh": (Language.ZH,), "_en": (Language.EN,)}.items()
    for part, file in {
        **{template.part: template.file for template in TEMPLATES[Kind.NEWSLETTER]},
        "calendar": "newsletter/event.ics",
    }.items()
)
"""The parts of a newsletter whose readers choose their language: all parts in all languages, and in each alone."""


@dataclass(frozen=True, slots=True)
class Part:
    """One rendered part, as bytes; text and HTML are UTF-8."""

    name: str
    media_type: MediaType
    data: bytes

    @property
    def text(self) -> str:
        """The part as text."""
        return self.data.decode()


class PictureFormat(StrEnum):
    """The formats of pictures that go out, by media type."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"

    @property
    def ending(self) -> str:
        """The ending of a file's name, with its dot."""
        return {"image/jpeg": ".jpg"}.get(self, f".{self.name.lower()}")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in the size and format its channel takes; ``sha256`` is that of ``data``, in hex.

    ``alt`` says what it shows, in both languages; a post says it in its own. ``width`` and ``height`` are in pixels.
    """

    sha256: str
    format: PictureFormat
    width: int
    height: int
    alt: Bilingual
    data: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """A file name made of its content: the same picture has the same name everywhere."""
        return f"{self.sha256[:20]}{self.format.ending}"

    @property
    def described(self) -> dict[str, Any]:
        """All but the bytes, for the facts of a variant."""
        return {
            "sha256": self.sha256,
            "format": str(self.format),
            "width": self.width,
            "height": self.height,
            "alt": {"zh": self.alt.zh, "en": self.alt.en},
        }


@dataclass(frozen=True)
class Variant:
    """What one channel gets. These bytes are what is sealed, and nothing else is sent.

    ``key`` is the announcement's key; ``languages`` are in reading order; ``parts`` always has ``facts``, a JSON
    object of what an adapter may need besides the rendered parts: ``title``, ``excerpt`` and ``tags`` by
    language, ``language_tags`` (BCP 47), ``layout``, ``date`` (YYYY-MM-DD), ``event`` (or null) and ``pictures``.
    ``pictures`` are in the order of the document, the first one leads; a part names them by an address that
    :func:`publisher.render.links.place` replaces by where they are. ``facts`` has their hashes, so that they are
    sealed with it.
    """

    channel: str
    kind: Kind
    key: str
    revision: int
    languages: tuple[Language, ...]
    parts: Mapping[str, Part]
    pictures: tuple[Picture, ...] = ()

    @property
    def scope(self) -> str:
        """``zh``, ``en`` or ``both``: which languages this variant is in."""
        return str(self.languages[0]) if len(self.languages) == 1 else "both"

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The ``facts`` part, read."""
        facts: dict[str, Any] = json.loads(self.parts["facts"].data)
        return facts

    def text(self, part: str) -> str:
        """The text of a part. Raises ``KeyError`` where the variant has none of that name."""
        return self.parts[part].text


@dataclass(frozen=True, slots=True)
class Links:
    """Where an announcement can be read: one address for both languages, and one a language where there is.

    ``pictures`` are the addresses of its pictures, each once, in the order of the document, where the channel knows
    them.
    """

    both: str
    zh: str = ""
    en: str = ""
    pictures: tuple[str, ...] = ()

    def __getitem__(self, scope: str) -> str:
        """The best address for ``zh``, ``en`` or ``both``."""
        return {"zh": self.zh, "en": self.en}.get(str(scope), "") or self.both


class Payload:
    """The exact request, built by :meth:`Adapter.prepare`. Adapters subclass it as a frozen dataclass."""


# --- What an adapter says of itself ---------------------------------------------------------------------


class Unit(StrEnum):
    """What a platform counts."""

    GRAPHEMES = "graphemes"
    CODE_POINTS = "code points"


@dataclass(frozen=True, slots=True)
class LengthRule:
    """A length limit as its platform counts.

    ``link`` is what every http(s) link costs whatever its length, ``None`` where links count in full;
    ``short_handles`` counts ``@user@host`` as ``@user``.
    """

    maximum: int
    unit: Unit = Unit.GRAPHEMES
    link: int | None = None
    short_handles: bool = False


@dataclass(frozen=True, slots=True)
class PictureRule:
    """The pictures a service takes: ``longest`` is the longer side in pixels, ``largest`` a file in bytes.

    A picture in none of ``formats`` is converted to the first one of them that can show it.
    """

    longest: int = 2560
    largest: int = 4 * 1024 * 1024
    formats: tuple[PictureFormat, ...] = (PictureFormat.JPEG, PictureFormat.PNG)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the service can do, beyond what the overridden methods tell.

    ``length`` limits the text of a summary. ``pictures`` says which pictures it takes; ``None``: none at all.
    ``settles_after`` is the longest time after which the service may still show a post that was sent: "not there" is
    believed only after it. ``pages`` says whether a post can be read at an address of its own, so that others can link
    to it. ``repeatable`` says that publishing again with the same key makes no second post, by the service's own
    promise: where it cannot be asked, an unknown outcome is then cleared up by sending again. ``personal`` says that
    every reader of a newsletter gets a message of her own, in which the adapter or its service fills in her address
    and the one that ends her subscription.
    """

    length: LengthRule | None = None
    pictures: PictureRule | None = None
    settles_after: timedelta = timedelta(minutes=2)
    pages: bool = True
    repeatable: bool = False
    personal: bool = False


def _listed(value: object) -> object:
    """``"zh,en"`` as a list, so that lists can be written in ``.env``."""
    return [item for item in re.split(r"[,\s]+", value) if item] if isinstance(value, str) else value


class ChannelSettings(BaseModel):
    """The settings every channel has. An adapter's own settings subclass this.

    Every field needs a description: the wizard, ``.env.example`` and the reference page are made from it.
    Secrets are :class:`pydantic.SecretStr`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True
    )

    languages: Annotated[tuple[Language, ...], BeforeValidator(_listed)] = Field(
        (Language.ZH, Language.EN), min_length=1, description="languages of this channel, the first one leads"
    )
    layout: Layout = Field(Layout.PAIRED, description="paired, stacked, or separate (one post a language)")
    grace_hours: float = Field(
        24.0, gt=0, le=24 * 30, description="how late a post may still go out after an outage, in hours"
    )
    per_minute: int = Field(
        30,
        gt=0,
        le=100_000,
        description="how many posts may start in a minute, so that a backlog is no flood",
    )


# --- What an adapter answers -----------------------------------------------------------------------------


class Outcome(StrEnum):
    """How sure a receipt is."""

    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the channel answered: never a boolean.

    ``links`` is where the post can be read, where the channel has addresses at all; ``code`` the service's own
    code; ``raw`` its scrubbed answer, shortened.
    """

    outcome: Outcome
    id: str
    links: Links | None = None
    code: str = ""
    at: datetime | None = None
    raw: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        Outcome(self.outcome)
        if not self.id:
            raise ValueError("A receipt needs the service's id for the post.")
        if self.at is not None and self.at.tzinfo is None:
            raise ValueError("A receipt's time needs a zone.")


@dataclass(frozen=True, slots=True)
class Advice:
    """What an administrator is told of a channel beside whether it works.

    ``good`` is ``None`` where it could not be found out; ``publish`` is a line to copy that mends it, such as a DNS
    record.
    """

    good: bool | None
    sentence: str
    publish: str = ""


class DeliveryError(Exception):
    """Base of all that an adapter may raise; each is named for what happens next."""


class Unsupported(DeliveryError):
    """This channel cannot express this variant: back to the officer, before approval."""


class Rejected(DeliveryError):
    """The service read it and refused the content: a person must act."""


class SignInFailed(DeliveryError):
    """Credential or permission: the administrator must act."""


class Throttled(DeliveryError):
    """Asked to wait; ``retry_after`` says how long, ``None`` where the service did not say."""

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(DeliveryError):
    """Certainly not published: retry."""


class OutcomeUnknown(DeliveryError):
    """May have been published. Never again blindly: reconcile. The default for what fits nowhere."""


class AlreadyThere(DeliveryError):
    """The service knows our key: success."""

    def __init__(self, receipt: Receipt) -> None:
        super().__init__("The service already has this post.")
        self.receipt = receipt


# --- The adapter -----------------------------------------------------------------------------------------

SettingsT = TypeVar("SettingsT", bound=ChannelSettings)
PayloadT = TypeVar("PayloadT", bound=Payload)


class Adapter(ABC, Generic[SettingsT, PayloadT]):
    """One configured channel of one kind of service.

    Nothing but the errors above comes out of an adapter's methods. A method that is not overridden refuses
    loudly; that it is overridden is what tells the core that the service can do it.
    """

    title: ClassVar[str]
    """One line for people: what this adapter publishes to."""
    kind: ClassVar[Kind]
    Settings: ClassVar[type[ChannelSettings]]
    templates: ClassVar[tuple[Template, ...]] = ()
    """The parts it takes; empty for the usual ones of its kind."""

    def __init__(self, channel: str, settings: SettingsT, office: Path | None = None) -> None:
        """``office`` is the office's own folder, for an adapter that renders more than it is given."""
        self.channel = channel
        self.settings = settings
        self.office = office

    @property
    def capabilities(self) -> Capabilities:
        """What this channel can do; may depend on the settings, never on the network."""
        return Capabilities()

    @property
    def can_find(self) -> bool:
        """Whether the service can be asked if it has a post."""
        return type(self).find is not Adapter.find

    @property
    def can_confirm(self) -> bool:
        """Whether a post that was only accepted can be looked for until it is seen."""
        return type(self).confirm is not Adapter.confirm

    @property
    def can_update(self) -> bool:
        """Whether a published post can be changed in place."""
        return type(self).update is not Adapter.update

    @property
    def can_retract(self) -> bool:
        """Whether a published post can be taken back."""
        return type(self).retract is not Adapter.retract

    def links(self, key: str) -> Links | None:
        """Where the announcement ``key`` will be read, as far as that is known beforehand. Pure.

        Fills in what this channel's own post says of its address where others link to it; they get the address
        that the receipt says.
        """
        return None

    @abstractmethod
    async def check(self) -> str:
        """Signs in and asks whether we may post, without publishing; one sentence of what was found."""

    async def advise(self) -> Sequence[Advice]:
        """What else must be in order for posts to arrive, such as DNS records; never raises for what it finds."""
        return ()

    @abstractmethod
    def prepare(self, variant: Variant) -> PayloadT:
        """The exact request. Pure; raises :class:`Unsupported` for what this channel cannot express."""

    @abstractmethod
    async def publish(self, payload: PayloadT, key: str) -> Receipt:
        """Exactly one try: no sleep, no retry. ``key`` (``[a-z0-9-]``) is the same for every attempt."""

    async def find(self, key: str, payload: PayloadT) -> Receipt | None:
        """The receipt of a post that is there already, or ``None`` where it is certainly not."""
        raise Unsupported(f"{self.channel} cannot be asked whether it has a post.")

    async def confirm(self, receipt: Receipt, payload: PayloadT) -> Receipt:
        """Looks once whether a post that was accepted can be seen by now: the receipt, *confirmed* or as it was.

        For services that publish only some time after they have taken a post. What links to the post waits until it
        is confirmed.
        """
        raise Unsupported(f"{self.channel} does not say when a post can be seen.")

    async def update(self, receipt: Receipt, payload: PayloadT) -> Receipt:
        """Changes a published post in place."""
        raise Unsupported(f"{self.channel} cannot change a post that is out.")

    async def retract(self, receipt: Receipt) -> Receipt:
        """Takes a published post back."""
        raise Unsupported(f"{self.channel} cannot take a post back.")

    async def close(self) -> None:
        """Releases connections. Called once, at the end."""
        return


# --- Newsletters that the office sends itself -------------------------------------------------------------


class Doubt(StrEnum):
    """What becomes of a letter of which nobody knows whether it was sent."""

    HOLD = "hold"
    """It is listed, and a person decides."""
    RESEND = "resend"
    """It is sent again, with the same Message-ID."""


class MailingSettings(ChannelSettings):
    """The settings every channel has that sends to the office's own subscribers."""

    lists: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="lists of subscribers who get it, with commas between them; empty: everybody"
    )
    when_in_doubt: Doubt = Field(
        Doubt.HOLD,
        description="hold or resend: what becomes of the few messages of which nobody knows whether they were sent, "
        "after a crash or a lost connection; hold lists them for a person",
    )


@dataclass(frozen=True, slots=True)
class Letter:
    """One message of a mailing, to one subscriber.

    ``number`` is its row in the ledger; ``address`` has an ASCII domain, its local part may be UTF-8; ``name`` may be
    empty; ``scope`` is the language the subscriber reads: ``zh``, ``en`` or ``both``. ``ref`` is the subscriber's for
    ever and part of the Message-ID; ``unsubscribe`` is the web address that ends the subscription, ``token`` its
    secret part; ``bounce`` tells a report about this message from all others. The tokens are ``[a-z0-9-]``.
    """

    number: int
    address: str
    name: str
    scope: str
    ref: str
    unsubscribe: str = field(repr=False)
    token: str = field(repr=False)
    bounce: str = field(repr=False)


class Fate(StrEnum):
    """What became of a letter, as its server said."""

    SENT = "sent"
    """The server has taken it over."""
    DEFERRED = "deferred"
    """Refused for now (4yz): the same letter is tried again later."""
    REFUSED = "refused"
    """Refused for good (5yz)."""
    UNSENT = "unsent"
    """Certainly not sent, and not for a reason of its own: the connection was lost before its first byte."""
    UNKNOWN = "unknown"
    """It may have been sent: its first byte has left, and the server has not answered."""


class Record(Protocol):
    """Where a mailing is written down, letter by letter. Both methods may be called from any thread, and are quick."""

    def begin(self, number: int) -> bool:
        """Called before the first byte of a letter leaves; ``False`` where it must not be sent any more."""

    def end(self, number: int, fate: Fate, answer: str) -> None:
        """Called once the fate of a letter is known; ``answer`` is the server's reply, or what was found out."""


class MailingAdapter(Adapter[SettingsT, PayloadT]):
    """An adapter whose post is one message to each subscriber. The core holds the list and the ledger."""

    templates: ClassVar[tuple[Template, ...]] = PERSONAL_TEMPLATES

    @abstractmethod
    async def mail(self, payload: PayloadT, letters: AsyncIterator[Sequence[Letter]], record: Record) -> None:
        """Sends every letter of every group, each exactly once, and returns when the fate of all is recorded.

        Nothing is sent twice, whatever happens: what could not be sent is recorded and left to the core. Raises the
        errors of this module where nothing can be sent at all, such as :class:`SignInFailed`; a letter that was
        taken from ``letters`` and has no fate recorded is then certainly not sent, unless it was begun.
        """

    async def publish(self, payload: PayloadT, key: str) -> Receipt:
        """A mailing has no single message."""
        raise Unsupported(f"{self.channel} sends to subscribers one by one.")


class Double(ABC):
    """A loopback server that behaves like a real service, for the demo and for tests.

    Registered under ``publisher.doubles`` with the name of the adapter it answers to.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @abstractmethod
    def start(self) -> Mapping[str, str]:
        """Listens on a free port of 127.0.0.1; the settings, without prefix, that reach it."""

    @abstractmethod
    def stop(self) -> None:
        """Stops listening; what was received stays in ``folder``."""

    @abstractmethod
    def received(self) -> list[str]:
        """A line for people for each post that is there: a path or an address."""
