"""A small service and its adapter, for tests of the core: it keeps what it gets, and can be told to misbehave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr

from publisher.announcement import Person
from publisher.channel import (
    Adapter,
    Capabilities,
    ChannelSettings,
    Fate,
    Kind,
    LengthRule,
    Letter,
    Links,
    MailingAdapter,
    MailingSettings,
    Outcome,
    Payload,
    Receipt,
    Record,
    Template,
    Unsupported,
    Variant,
)
from publisher.control import Control
from publisher.desk import Desk
from publisher.engine.embedded import EmbeddedEngine
from publisher.engine.letters import Office as LetterOffice
from publisher.settings import OfficeSettings, Settings
from publisher.store import Store
from publisher.tokens import Tokens

OFFICER, APPROVER = Person("Lin", "office"), Person("Chen", "office")

DOCUMENT = """\
---
title: {zh: 图书角开放, en: Reading Corner Opens}
---
阅览区的图书角将于10月12日开放，欢迎各位会员前来。

The reading corner opens on 12 October; all members are welcome.

开放当天备有茶点。

Tea will be served on the day.
"""

TEMPLATES = {
    "toy/post.txt": "{% for l in languages %}{{ title[l] }}\n{% for p in passages %}{{ p.text[l] }}\n{% endfor %}{% endfor %}",
    "toy/note.txt": "{% for l in languages %}{{ title[l] }} {% endfor %}{{ link[scope] }}\n",
}


@dataclass(frozen=True)
class ToyPayload(Payload):
    """The whole text."""

    text: str


@dataclass
class Service:
    """What the outside world holds: posts by key, in the order they came."""

    posts: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Callable[[], None]] = field(default_factory=list)
    """Called one a request, after the post was made; a fault raises."""
    refuse: list[Callable[[], None]] = field(default_factory=list)
    """Called one a request, before anything is done."""
    hidden: bool = False
    """Posts cannot be found yet."""
    seen: Callable[[str], None] = lambda key: None
    """Called when a request arrives, before anything else."""
    hold: Callable[[], Awaitable[None]] | None = None
    """Awaited before the answer is given."""

    def texts(self, channel: str) -> list[str]:
        """The posts of one channel."""
        return [text for key, text in self.posts if f"-{channel.replace('_', '-')}-" in key]


class _Toy(Adapter[ChannelSettings, ToyPayload]):
    title = "a service of the tests"
    Settings = ChannelSettings
    service: Service

    def prepare(self, variant: Variant) -> ToyPayload:
        text = variant.text("text")
        if "unprintable" in text:
            raise Unsupported("it cannot be printed")
        return ToyPayload(text)

    async def check(self) -> str:
        return "ready"

    async def publish(self, payload: ToyPayload, key: str) -> Receipt:
        self.service.seen(key)
        if self.service.refuse:
            self.service.refuse.pop(0)()
        self.service.posts.append((key, payload.text))
        if self.service.hold:
            await self.service.hold()
        if self.service.faults:
            self.service.faults.pop(0)()
        return self._receipt(key)

    def _receipt(self, key: str) -> Receipt:
        return Receipt(Outcome.CONFIRMED, key, Links(both=f"https://toy.example/{key}"))


class ToySite(_Toy):
    """A website that can be asked whether it has a post."""

    kind = Kind.POST
    templates = (Template("text", "toy/post.txt"),)

    async def find(self, key: str, payload: ToyPayload) -> Receipt | None:
        if self.service.hidden or key not in dict(self.service.posts):
            return None
        return self._receipt(key)

    async def update(self, receipt: Receipt, payload: ToyPayload) -> Receipt:
        self.service.posts = [(k, payload.text if k == receipt.id else t) for k, t in self.service.posts]
        if self.service.faults:
            self.service.faults.pop(0)()
        return receipt

    async def retract(self, receipt: Receipt) -> Receipt:
        self.service.posts = [(k, t) for k, t in self.service.posts if k != receipt.id]
        if self.service.faults:
            self.service.faults.pop(0)()
        return receipt

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(settles_after=timedelta(minutes=2))


class ToyNote(_Toy):
    """A channel that links to the website and cannot be asked."""

    kind = Kind.SUMMARY
    templates = (Template("text", "toy/note.txt"),)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(length=LengthRule(200, link=23))


class ToyMail(MailingAdapter[MailingSettings, ToyPayload]):
    """A mail server that keeps the letters it gets; ``fate`` says what becomes of each, and may raise."""

    title = "a mail server of the tests"
    kind = Kind.NEWSLETTER
    Settings = MailingSettings
    templates = (Template("text", "toy/note.txt"),)
    service: Service

    def __init__(self, channel: str, settings: MailingSettings, office: Path | None = None) -> None:
        super().__init__(channel, settings, office)
        self.got: list[Letter] = []
        self.fate: Callable[[Letter], tuple[Fate, str]] = lambda letter: (Fate.SENT, "250 queued")
        self.hold: Callable[[Letter], Awaitable[None]] | None = None
        """Awaited when a letter has been begun, and not answered."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(personal=True, pages=False)

    def prepare(self, variant: Variant) -> ToyPayload:
        return ToyPayload(variant.text("text"))

    async def check(self) -> str:
        return "ready"

    async def mail(
        self, payload: ToyPayload, letters: AsyncIterator[Sequence[Letter]], record: Record
    ) -> None:
        async for group in letters:
            for letter in group:
                if not record.begin(letter.number):
                    record.end(letter.number, Fate.UNSENT, "not begun")
                    continue
                if self.hold:
                    await self.hold(letter)
                fate, answer = self.fate(letter)
                if fate in (Fate.SENT, Fate.UNKNOWN):
                    self.got.append(letter)
                record.end(letter.number, fate, answer)


SECRET = SecretStr("0123456789abcdef" * 4)


def letter_office(home: Path) -> LetterOffice:
    """What letters need of the office."""
    return LetterOffice(home / "mailings", "https://news.example.org/", Tokens([SECRET]))


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.time = datetime(2026, 10, 1, 1, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **delta: float) -> None:
        """Moves the clock."""
        self.time += timedelta(**delta)


@dataclass
class Office:
    """A desk over two toy channels, with an office's own templates."""

    desk: Desk
    store: Store
    service: Service
    clock: Clock
    home: Path

    @property
    def control(self) -> Control:
        """The administrators' verbs over the same store."""
        return Control(self.store, self.desk.channels, self.clock)

    def approved(self, document: str = DOCUMENT) -> str:
        """Brings a document in and has it approved; its key."""
        key, _ = self.desk.add(document.encode(), "corner.md", OFFICER)
        self.approve(key)
        return key

    def approve(self, key: str) -> None:
        """Takes a draft through submission and approval."""
        self.desk.submit(key, OFFICER)
        self.desk.approve(key, APPROVER)

    def states(self, key: str) -> dict[str, str]:
        """The state of each delivery by channel."""
        return {d.channel: str(d.state) for d in self.desk.show(key).deliveries}


async def work(bureau: Office, owner: str = "worker-1") -> None:
    """A worker's turn: all that is due, and all that becomes due by it."""
    engine = EmbeddedEngine(
        bureau.store, bureau.desk.channels, owner, now=bureau.clock, office=letter_office(bureau.home)
    )
    with bureau.store.write() as tx:
        tx.deliveries.release_all(bureau.clock())
    while await engine.enqueue_due():
        await engine.drain()
    await engine.stop()


def office(store: Store, home: Path, **settings: object) -> Office:
    """An office with the channels ``site`` (canonical) and ``note``."""
    for name, text in TEMPLATES.items():
        path = home / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    given = OfficeSettings.model_validate({"channels": "site,note", "canonical": "site", "home": home})
    service, clock = Service(), Clock()
    channel = ChannelSettings.model_validate(settings)
    channels = {"site": ToySite("site", channel, home), "note": ToyNote("note", channel, home)}
    for adapter in channels.values():
        adapter.service = service
    desk = Desk(Settings(given, {}, home / ".env"), store, channels, clock)
    return Office(desk, store, service, clock, home)
