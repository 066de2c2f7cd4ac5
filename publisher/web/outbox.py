"""Letters that confirm a subscription: sent one at a time, after the visitor has been answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog

from publisher.channel import (
    DeliveryError,
    Fate,
    Letter,
    MailingAdapter,
    Throttled,
    Unavailable,
    Variant,
)
from publisher.errors import PublisherError
from publisher.subscriber import Subscriber
from publisher.tokens import Purpose, Tokens

log = structlog.get_logger("publisher.web")

Mailer = Callable[[Subscriber, str], Awaitable[None]]
"""Sends the letter in which a person confirms her subscription, with the address of the page to do so.

One try; raises :class:`~publisher.channel.Unavailable` where a later one may go better.
"""
Rendered = Callable[[Subscriber, str], Variant]
"""The letter itself, with the address of the page to confirm."""

AGAIN = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
"""Mail servers make a first letter from a stranger wait (RFC 6647, greylisting), by minutes or up to an hour."""


class Outbox:
    """Hands letters to ``mailer``. What is not sent when the process ends is not sent: the person asks again."""

    def __init__(self, mailer: Mailer, again: Sequence[timedelta] | None = None) -> None:
        self._mailer, self._again = mailer, AGAIN if again is None else again
        self._turn = asyncio.Semaphore(1)
        self._under_way: set[asyncio.Task[None]] = set()

    def put(self, subscriber: Subscriber, url: str) -> None:
        """Sends the letter as soon as it is its turn; returns at once."""
        task = asyncio.get_running_loop().create_task(self._send(subscriber, url), name="confirmation")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Gives up what has not been sent."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _send(self, subscriber: Subscriber, url: str) -> None:
        for wait in (*self._again, None):
            try:
                async with self._turn:
                    await self._mailer(subscriber, url)
            except (Unavailable, Throttled) as error:
                _log_failure(subscriber, error)
                if wait is not None:
                    await asyncio.sleep(wait.total_seconds())
                continue
            except (DeliveryError, PublisherError) as error:
                _log_failure(subscriber, error)
            except Exception:  # a slip of ours, or of a plug-in, must not be lost with its task
                log.exception(
                    "a letter to confirm failed", event_name="confirmation.failed", ref=subscriber.ref
                )
            else:
                log.info("a letter to confirm was sent", event_name="confirmation.sent", ref=subscriber.ref)
            return


def _log_failure(subscriber: Subscriber, error: Exception) -> None:
    said = str(error).replace(subscriber.address, "***").replace(subscriber.normal, "***")
    log.error(
        "a letter to confirm was not sent",
        event_name="confirmation.failed",
        ref=subscriber.ref,
        error=type(error).__name__,
        reason=said,
    )


class ChannelMailer:
    """Sends through a configured channel, as one letter of a mailing that nothing is written down of."""

    def __init__(
        self, adapter: MailingAdapter[Any, Any], rendered: Rendered, tokens: Tokens, url: str
    ) -> None:
        self._adapter, self._rendered, self._tokens, self._url = adapter, rendered, tokens, url

    async def __call__(self, subscriber: Subscriber, url: str) -> None:
        """Sends one letter. Raises the errors of :mod:`publisher.channel`."""
        payload = await asyncio.to_thread(lambda: self._adapter.prepare(self._rendered(subscriber, url)))
        record = _Record()
        await self._adapter.mail(payload, _one(self._letter(subscriber)), record)
        if record.fate in (None, Fate.DEFERRED, Fate.UNSENT):
            raise Unavailable(record.answer or "The letter was not sent.")
        if record.fate is not Fate.SENT:
            raise DeliveryError(f"{record.fate}: {record.answer}")

    def _letter(self, subscriber: Subscriber) -> Letter:
        token = self._tokens.sign(Purpose.UNSUBSCRIBE, subscriber.ref)
        return Letter(
            number=0,
            address=subscriber.address,
            name=subscriber.name,
            scope=str(subscriber.reading),
            ref=subscriber.ref,
            unsubscribe=f"{self._url}u/{token}",
            token=token,
            bounce=self._tokens.sign(Purpose.BOUNCE, subscriber.ref),
        )


async def _one(letter: Letter) -> AsyncIterator[Sequence[Letter]]:
    yield [letter]


class _Record:
    """What became of one letter."""

    def __init__(self) -> None:
        self.fate: Fate | None = None
        self.answer = ""

    def begin(self, number: int) -> bool:
        """It may be sent."""
        return True

    def end(self, number: int, fate: Fate, answer: str) -> None:
        """Keeps what the server said."""
        self.fate, self.answer = fate, answer
