"""The pages and the worker in one process: put together, run until told to stop, ended cleanly."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.applications import Starlette

from publisher.audience import Audience
from publisher.channel import MailingAdapter
from publisher.errors import SettingsError
from publisher.registry import AnyAdapter
from publisher.settings import Settings
from publisher.store import Store
from publisher.tokens import Tokens
from publisher.web.app import build
from publisher.web.joining import EVEN, Joining, Limits, Signup
from publisher.web.leaving import Leaving
from publisher.web.letter import confirmation
from publisher.web.outbox import ChannelMailer, Outbox
from publisher.web.page import Pages
from publisher.web.server import Server
from publisher.web.threads import Threads
from publisher.worker import Worker, ended_by_signals

log = structlog.get_logger("publisher.web")


@dataclass(frozen=True)
class Service:
    """The pages of one office, and what they hold open."""

    app: Starlette
    threads: Threads
    outbox: Outbox | None

    async def close(self) -> None:
        """Gives up letters that wait, and lets the store go."""
        if self.outbox is not None:
            await self.outbox.close()
        await asyncio.to_thread(self.threads.close)


def require(settings: Settings) -> None:
    """Raises :class:`SettingsError` where the settings do not allow to serve anything."""
    if not settings.office.url:
        raise SettingsError(
            "PUBLISHER_URL is missing: the address under which subscribers reach these pages, such as "
            "https://news.example.org/; set it in .env."
        )
    if not settings.office.secret:
        raise SettingsError(
            "PUBLISHER_SECRET is missing: it signs the links in newsletters; make one with: openssl rand -hex 32"
        )


def assemble(
    settings: Settings,
    store: Store,
    channels: Mapping[str, AnyAdapter],
    *,
    limits: Limits | None = None,
    even: float = EVEN,
) -> Service:
    """The pages over ``store``; letters that confirm go through the first channel that mails to subscribers.

    Without such a channel nobody can subscribe here; whoever has subscribed can still leave. ``even`` is how long
    every answer to the form takes at least, in seconds.
    """
    require(settings)
    pages = Pages(settings.home, settings.office.url)
    tokens, audience, threads = Tokens(settings.office.secret), Audience(store), Threads()
    signup = _signup(settings, channels, tokens)
    leaving = Leaving(pages, audience, tokens, threads)
    joining = Joining(pages, audience, tokens, threads, signup, limits=limits, even=even)
    app = build(pages, leaving, joining, home_link=signup is not None)
    return Service(app, threads, signup.outbox if signup else None)


def _signup(settings: Settings, channels: Mapping[str, AnyAdapter], tokens: Tokens) -> Signup | None:
    adapter = next((one for one in channels.values() if isinstance(one, MailingAdapter)), None)
    if adapter is None:
        return None
    rendered = confirmation(adapter.channel, settings.home)
    mailer = ChannelMailer(adapter, rendered, tokens, settings.office.url)
    return Signup(Outbox(mailer), tuple(getattr(adapter.settings, "lists", ())))


async def run(server: Server, listening: socket.socket, worker: Worker | None = None) -> None:
    """Serves, and publishes with ``worker``, until SIGTERM or SIGINT; where one of them ends, so does the other."""
    stop = asyncio.Event()
    work: list[Coroutine[Any, Any, None]] = [server.serve(sockets=[listening])]
    if worker is not None:
        work.append(worker.run(signals=False))
    with ended_by_signals(stop):
        tasks = [asyncio.create_task(one) for one in work]
        waiting = asyncio.create_task(stop.wait())
        log.info("the pages are ready", event_name="web.started", listens=_name(listening))
        await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        server.stop()
        if worker is not None:
            worker.stop()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    log.info("the pages have stopped", event_name="web.stopped")
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def _name(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
