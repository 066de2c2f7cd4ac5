"""The pages at the end of a subscription: a look, the one click of RFC 8058, and the way back from a mistake."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.responses import Response

from publisher.audience import Audience
from publisher.subscriber import Subscriber, SubscriberState
from publisher.tokens import Purpose, Tokens
from publisher.web.form import agent, posted, token_of
from publisher.web.page import Pages, languages_of, masked
from publisher.web.threads import Threads

log = structlog.get_logger("publisher.web")

_REGRET = 30 * 60.0
"""Seconds in which whoever has unsubscribed can take it back without another letter."""
_REMEMBERED = 10_000
ON_LIST = (SubscriberState.ACTIVE, SubscriberState.PENDING)


class Regrets:
    """Who has just left, in memory: a link in a forwarded newsletter must not bring anybody back a year later."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._left: OrderedDict[str, float] = OrderedDict()

    def add(self, ref: str) -> None:
        """``ref`` has left now."""
        self._left[ref] = self._now()
        self._left.move_to_end(ref)
        if len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)

    def has(self, ref: str) -> bool:
        """Whether ``ref`` has left a short time ago."""
        return self._now() - self._left.get(ref, -_REGRET) < _REGRET

    def drop(self, ref: str) -> None:
        """``ref`` is back."""
        self._left.pop(ref, None)


class Leaving:
    """``/u/{token}``: GET changes nothing, because mail programs and their guards open every link; POST acts."""

    def __init__(
        self,
        pages: Pages,
        audience: Audience,
        tokens: Tokens,
        threads: Threads,
        regrets: Regrets | None = None,
    ) -> None:
        self._pages, self._audience, self._tokens, self._threads = pages, audience, tokens, threads
        self._regrets = regrets or Regrets()

    async def look(self, request: Request) -> Response:
        """Says whose subscription it is and offers the button; changes nothing."""
        named = self._tokens.read(Purpose.UNSUBSCRIBE, token_of(request))
        if named is None:
            return self.broken(request)
        subscriber = await self._threads.call(lambda: self._audience.of_ref(named.ref))
        if subscriber is not None and subscriber.state in ON_LIST:
            action = f"u/{token_of(request)}"
            return self._said("leave", request, subscriber, action)
        return self._gone(request, subscriber)

    async def leave(self, request: Request) -> Response:
        """Ends the subscription, for a mail program's one click as for the page's button; again does no harm."""
        named = self._tokens.read(Purpose.UNSUBSCRIBE, token_of(request))
        if named is None:
            return self.broken(request)
        how = how_of(await posted(request))
        detail = agent(request)

        def work() -> tuple[Subscriber | None, Subscriber | None]:
            before = self._audience.of_ref(named.ref)
            return before, self._audience.unsubscribe(named.ref, how=how, detail=detail)

        before, after = await self._threads.call(work)
        log.info("unsubscribed", event_name="subscriber.left", ref=named.ref, how=how, mailing=named.mailing)
        if before is not None and before.state is SubscriberState.ACTIVE:
            self._regrets.add(named.ref)
        return self._gone(request, after)

    async def undo(self, request: Request) -> Response:
        """Brings back who has left a short time ago; later it takes a new subscription."""
        named = self._tokens.read(Purpose.UNSUBSCRIBE, token_of(request))
        if named is None:
            return self.broken(request)
        await posted(request)
        if not self._regrets.has(named.ref):
            return self._pages.notice("late", languages_of(request), link="subscribe")
        detail = agent(request)
        subscriber = await self._threads.call(
            lambda: self._audience.confirm(named.ref, how="undo", detail=detail)
        )
        self._regrets.drop(named.ref)
        if subscriber is None or subscriber.state is not SubscriberState.ACTIVE:
            return self._pages.notice("late", languages_of(request, subscriber), link="subscribe")
        log.info("subscribed again", event_name="subscriber.returned", ref=named.ref)
        return self._said("back", request, subscriber)

    def broken(self, request: Request) -> Response:
        """For a link that is none of ours, or was cut off: what to do."""
        return self._pages.notice("broken", languages_of(request), status=404)

    def _gone(self, request: Request, subscriber: Subscriber | None) -> Response:
        if subscriber is None:
            return self._pages.notice("gone", languages_of(request))
        undo = f"u/{token_of(request)}/undo" if self._regrets.has(subscriber.ref) else ""
        return self._said("left", request, subscriber, undo)

    def _said(self, name: str, request: Request, subscriber: Subscriber, action: str = "") -> Response:
        who = masked(subscriber.address)
        return self._pages.notice(name, languages_of(request, subscriber), who=who, action=action)


def how_of(fields: dict[str, str]) -> str:
    """``one-click`` for a mail program (RFC 8058, 3.2), ``page`` for a person."""
    return "one-click" if fields.get("List-Unsubscribe", "").lower() == "one-click" else "page"
