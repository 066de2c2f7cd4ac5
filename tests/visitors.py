"""The pages for subscribers on a real server, an office behind them, and a mail service that keeps what it gets."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import html5lib
import httpx

from publisher import web
from publisher.audience import Audience
from publisher.channel import (
    Capabilities,
    Fate,
    Kind,
    Letter,
    MailingAdapter,
    MailingSettings,
    Payload,
    Record,
    Variant,
)
from publisher.settings import OfficeSettings, Settings
from publisher.store import Store
from publisher.subscriber import Reading, Subscriber
from publisher.tokens import Purpose, Tokens
from publisher.web.joining import Limits

SECRET = "5ec7" * 16
ADDRESS = "lin.ruolan@mail.example.org"
HOUSE = '[office]\nemail = "office@example.org"\n'


@dataclass(frozen=True)
class MailPayload(Payload):
    """The letter, as text and as HTML."""

    subject: str
    text: str
    html: str


class ToyMail(MailingAdapter[MailingSettings, MailPayload]):
    """Keeps every letter, unless it is told to misbehave."""

    title, kind, Settings = "a mail service of the tests", Kind.NEWSLETTER, MailingSettings

    def __init__(self) -> None:
        super().__init__("newsletter", MailingSettings.model_validate({"lists": "news"}))
        self.sent: list[tuple[Letter, MailPayload]] = []
        self.faults: list[Callable[[], Fate]] = []
        self.arrived = threading.Event()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(personal=True, pages=False)

    async def check(self) -> str:
        return "ready"

    def prepare(self, variant: Variant) -> MailPayload:
        return MailPayload(variant.text("subject"), variant.text("text"), variant.text("html"))

    async def mail(
        self, payload: MailPayload, letters: AsyncIterator[Sequence[Letter]], record: Record
    ) -> None:
        async for group in letters:
            for letter in group:
                assert record.begin(letter.number)
                fate = self.faults.pop(0)() if self.faults else Fate.SENT
                if fate is Fate.SENT:
                    self.sent.append((letter, payload))
                record.end(letter.number, fate, f"250 {letter.address}")
                self.arrived.set()


@dataclass
class Visit:
    """A visitor, and what stands behind the pages."""

    client: httpx.Client
    audience: Audience
    store: Store
    tokens: Tokens = field(repr=False)
    mail: ToyMail

    def subscriber(self, address: str = ADDRESS, reading: Reading = Reading.BOTH) -> Subscriber:
        """A subscriber who has confirmed."""
        asked = self.audience.request(address, "", reading, ("news",), "test", "yes")
        assert asked is not None
        confirmed = self.audience.confirm(asked.ref, how="test", detail="")
        assert confirmed is not None
        return confirmed

    def unsubscribe(self, ref: str, mailing: int = 7) -> str:
        """The path that ends a subscription."""
        return f"u/{self.tokens.sign(Purpose.UNSUBSCRIBE, ref, mailing)}"

    def state(self, ref: str) -> str:
        """Where the subscriber stands."""
        found = self.audience.of_ref(ref)
        return str(found.state) if found else "unknown"

    def fill_in(self, lang: str = "en", **typed: str) -> httpx.Response:
        """Opens the form and sends it, filled in."""
        page = parse(self.client.get("subscribe", params={"lang": lang}).text)
        consent = page.find(".//input[@name='consent']")
        assert consent is not None
        given = {
            "address": ADDRESS,
            "name": "",
            "reading": lang,
            "consent": consent.get("value", ""),
            "website": "",
        }
        return self.client.post("subscribe", params={"lang": lang}, data=given | typed)

    def letter(self) -> tuple[Letter, MailPayload]:
        """The letter that comes next."""
        assert self.mail.arrived.wait(5)
        self.mail.arrived.clear()
        return self.mail.sent[-1]


@contextmanager
def visiting(
    home: Path,
    *,
    url: str = "http://127.0.0.1/news/",
    trusted: str = "",
    limits: Limits | None = None,
    even: float = 0.0,
    mailing: bool = True,
) -> Iterator[Visit]:
    """The pages of an office in ``home`` at ``url``, whose folder the proxy takes off the path."""
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "house.toml").write_text(HOUSE, encoding="utf-8")
    office = OfficeSettings.model_validate({"home": home, "url": url, "secret": SECRET})
    settings, store, mail = Settings(office, {}, home / ".env"), Store.open(home), ToyMail()
    channels: dict[str, Any] = {"newsletter": mail} if mailing else {}
    listening = web.listen("127.0.0.1", 0)
    ready: list[web.Server] = []
    begun = threading.Event()

    async def serve() -> None:
        service = web.assemble(settings, store, channels, limits=limits, even=even)
        ready.append(web.make_server(service.app, trusted))
        begun.set()
        await ready[0].serve(sockets=[listening])
        await service.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert begun.wait(10)
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{listening.getsockname()[1]}/", trust_env=False
        ) as client:
            yield Visit(client, Audience(store), store, Tokens(office.secret), mail)
    finally:
        ready[0].stop()
        thread.join()
        store.close()


def parse(text: str) -> ElementTree.Element:
    """The page's tree; raises for anything the HTML standard calls a parse error."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def words(text: str) -> str:
    """What a page says, without its frame."""
    main = parse(text).find(".//main")
    assert main is not None
    return re.sub(r"\s+", " ", "".join(main.itertext())).strip()
