"""The pages at the beginning of a subscription: the form, and the link in the letter that confirms it."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

import structlog
from starlette.requests import Request
from starlette.responses import Response

from publisher.addresses import masked, read
from publisher.announcement import Language
from publisher.audience import Audience
from publisher.subscriber import Reading, Subscriber, SubscriberState
from publisher.tokens import Purpose, Tokens
from publisher.web.form import agent, posted, token_of
from publisher.web.limits import Limit, client_of
from publisher.web.outbox import Outbox
from publisher.web.page import Languages, Pages, asked, languages_of, preferred
from publisher.web.threads import Threads

log = structlog.get_logger("publisher.web")

_LONGEST_ADDRESS, _LONGEST_NAME = 254, 100
EVEN = 0.4
"""Seconds that every answer to the form takes at least, so that its time does not tell who is subscribed."""


@dataclass(frozen=True, slots=True)
class Signup:
    """What new subscribers are given: a letter by which they confirm, and the ``lists`` they join."""

    outbox: Outbox
    lists: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """The form as it was filled in."""

    address: str = ""
    name: str = ""
    reading: str = "both"
    consent: str = ""
    website: str = ""
    """A field that people do not see. Programs that fill in every field fill it in."""

    @classmethod
    def of(cls, fields: dict[str, str]) -> Given:
        """The form of ours among ``fields``."""
        reading = fields.get("reading", "")
        return cls(
            fields.get("address", ""),
            fields.get("name", ""),
            reading if reading in list(Reading) else "both",
            fields.get("consent", ""),
            fields.get("website", ""),
        )


class Limits:
    """How many letters may go out in an hour: to one address, because of one client, and in all."""

    def __init__(self, address: int = 3, client: int = 10, total: int = 300) -> None:
        self.address, self.client, self.total = Limit(address), Limit(client), Limit(total)


class Joining:
    """``/subscribe`` and ``/c/{token}``. No answer tells whether an address is on the list."""

    def __init__(
        self,
        pages: Pages,
        audience: Audience,
        tokens: Tokens,
        threads: Threads,
        signup: Signup | None,
        *,
        limits: Limits | None = None,
        even: float = EVEN,
    ) -> None:
        self._pages, self._audience, self._tokens, self._threads = pages, audience, tokens, threads
        self._signup, self._limits, self._even = signup, limits or Limits(), even

    async def form(self, request: Request) -> Response:
        """The empty form."""
        if self._signup is None:
            return self._pages.notice("closed", languages_of(request), status=404)
        return self._form(request, Given(reading=asked(request) or str(preferred(request))))

    async def subscribe(self, request: Request) -> Response:
        """Takes the form: one answer for everybody, a letter for those who may have one."""
        if self._signup is None:
            return self._pages.notice("closed", languages_of(request), status=404)
        given = Given.of(await posted(request))
        if wrong := self._wrong(request, given):
            return self._form(request, given, wrong)
        client = client_of(request.client.host if request.client else None)
        if client and not self._limits.client.allows(client):
            return self._pages.notice("often", languages_of(request), status=429)
        even = asyncio.create_task(asyncio.sleep(self._even))
        try:
            letter = None if given.website else await self._asked(request, given, self._signup)
        except ValueError:
            return self._form(request, given, ("address",))
        await even
        return self._sent(request, letter)

    async def look(self, request: Request) -> Response:
        """Says whose subscription it will be and offers the button; changes nothing."""
        named = self._tokens.read(Purpose.CONFIRM, token_of(request))
        if named is None:
            return self._pages.notice("broken", languages_of(request), status=404)
        subscriber = await self._threads.call(lambda: self._audience.of_ref(named.ref))
        return self._stands(request, subscriber)

    async def confirm(self, request: Request) -> Response:
        """Confirms the subscription; again does no harm."""
        named = self._tokens.read(Purpose.CONFIRM, token_of(request))
        if named is None:
            return self._pages.notice("broken", languages_of(request), status=404)
        await posted(request)
        detail = agent(request)
        subscriber = await self._threads.call(
            lambda: self._audience.confirm(named.ref, how="page", detail=detail)
        )
        if subscriber is not None and subscriber.state is SubscriberState.ACTIVE:
            log.info("confirmed", event_name="subscriber.confirmed", ref=named.ref)
        return self._stands(request, subscriber)

    def _stands(self, request: Request, subscriber: Subscriber | None) -> Response:
        states = {SubscriberState.PENDING: "confirm", SubscriberState.ACTIVE: "confirmed"}
        if subscriber is None or subscriber.state not in states:
            return self._pages.notice("outdated", languages_of(request, subscriber), link="subscribe")
        name = states[subscriber.state]
        action = f"c/{token_of(request)}" if name == "confirm" else ""
        who = masked(subscriber.address)
        return self._pages.notice(name, languages_of(request, subscriber), who=who, action=action)

    async def _asked(self, request: Request, given: Given, signup: Signup) -> Subscriber | None:
        """Files the wish to subscribe; who must get a letter for it, if anybody.

        Raises ``ValueError`` for what is no address.
        """
        # However it is written: a name in front makes no other mailbox of it.
        normal = (await self._threads.call(lambda: read(given.address))).normal
        if not self._limits.address.allows(normal) or not self._limits.total.allows(""):
            log.warning("a letter was held back", event_name="web.limited")
            return None
        text = self._consent(languages_of(request))
        reading, how = Reading(given.reading), f"form, {agent(request)}"
        return await self._threads.call(
            lambda: self._audience.request(
                given.address, given.name, reading, signup.lists, how=how, text=text
            )
        )

    def _sent(self, request: Request, subscriber: Subscriber | None) -> Response:
        answer = self._pages.notice("sent", languages_of(request))
        if subscriber is not None and self._signup is not None:
            url = f"{self._pages.url}c/{self._tokens.sign(Purpose.CONFIRM, subscriber.ref)}"
            self._signup.outbox.put(subscriber, url)
        return answer

    def _wrong(self, request: Request, given: Given) -> tuple[str, ...]:
        """The fields that must be mended."""
        local, at, domain = given.address.rpartition("@")
        agreed = _mark(self._consent(languages_of(request)))
        found = {
            "address": not (local and at and domain) or len(given.address) > _LONGEST_ADDRESS,
            "name": len(given.name) > _LONGEST_NAME,
            "consent": given.consent != agreed,
        }
        return tuple(name for name, is_wrong in found.items() if is_wrong)

    def _form(self, request: Request, given: Given, wrong: tuple[str, ...] = ()) -> Response:
        languages = languages_of(request)
        lang = asked(request)
        return self._pages.shown(
            "web/subscribe.html",
            languages,
            status=400 if wrong else 200,
            given=given,
            wrong=wrong,
            consent={code: self._pages.consent(code) for code in Language},
            consent_mark=_mark(self._consent(languages)),
            action=f"{self._pages.root}subscribe" + (f"?lang={lang}" if lang else ""),
            here=f"{self._pages.root}subscribe",
        )

    def _consent(self, languages: Languages) -> str:
        """Word for word what the form says that a person agrees to."""
        return "\n".join(self._pages.consent(code) for code in languages)


def _mark(text: str) -> str:
    """Stands for exactly these words."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
