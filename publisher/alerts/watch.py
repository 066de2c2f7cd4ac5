"""Once a minute: the worker's sign of life, and a look at what somebody must be told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

import structlog

from publisher import clock
from publisher.alerts.cause import Kind, current
from publisher.alerts.plan import Notice, Phase, Plan, decide
from publisher.alerts.telling import Teller
from publisher.errors import PublisherError
from publisher.store import Store, Transaction

log = structlog.get_logger("publisher.alerts")

_LIVE = timedelta(minutes=3)
"""A worker seen within this time is alive; the first of them by name does the telling."""
_TURN = timedelta(minutes=10)
"""Longer than any turn of telling takes; whoever began one before that has died over it."""

T = TypeVar("T")


class Caller(Protocol):
    """Runs work that waits for the disk off the event loop."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """The result of ``work``."""


class Watch:
    """Keeps ``owner`` on the list of workers, and tells people through ``teller``, where there is one."""

    def __init__(
        self,
        store: Store,
        call: Caller,
        owner: str,
        pace: Mapping[str, int],
        *,
        teller: Teller | None = None,
        zone: str = "UTC",
        now: clock.Clock = clock.now,
    ) -> None:
        """``pace``: how many deliveries a minute each configured channel may start."""
        self._store, self._call, self._owner, self._pace = store, call, owner, pace
        self._teller, self._zone, self._now = teller, zone, now

    @property
    def tells(self) -> bool:
        """Whether there is anybody to tell."""
        return self._teller is not None

    async def alive(self) -> None:
        """A sign of life, at the start and once a minute."""
        await self._write(lambda tx, now: tx.workers.seen(self._owner, now))

    async def end(self) -> None:
        """The worker ends cleanly."""
        await self._write(lambda tx, _: tx.workers.end(self._owner))

    async def look(self) -> list[Notice]:
        """Opens, tells and closes alerts; what was told. What could not be told stays open for the next time."""
        if self._teller is None:
            return []
        plan = await self._write(self._plan)
        if plan is None or not plan.notices:
            return []
        try:
            return [notice for notice in plan.notices if await self._told(notice, self._teller)]
        finally:
            await self._write(lambda tx, _: tx.alerts.end_turn(self._owner))

    async def _told(self, notice: Notice, teller: Teller) -> bool:
        if not await teller.tell(notice.title, notice.body):
            return False
        await self._write(partial(_settle, notice))
        log.info(
            "an alert was told",
            event_name=f"alert.{notice.phase}",
            kind=str(notice.kind),
            causes=len(notice.causes),
        )
        return True

    async def _write(self, work: Callable[[Transaction, datetime], T]) -> T | None:
        def written() -> T:
            with self._store.write() as tx:
                return work(tx, self._now())

        try:
            return await self._call(written)
        except PublisherError as error:  # the next minute tries again
            log.error("the store cannot be used", event_name="store.unusable", reason=str(error))
            return None

    def _plan(self, tx: Transaction, now: datetime) -> Plan | None:
        """What to tell; ``None`` where another does it. New alerts are kept before anybody is told."""
        live = [owner for owner, seen_at in tx.workers.all().items() if now - seen_at < _LIVE]
        if live and min(live) != self._owner:
            return None
        if not tx.alerts.take_turn(self._owner, now, _TURN):
            return None
        open_ = tx.alerts.all()
        plan = decide(current(tx, self._pace, self._zone, now, [alert.cause for alert in open_]), open_, now)
        tx.alerts.add([(cause.id, cause.what) for cause in plan.opened], now)
        tx.alerts.remove(plan.dropped)
        for cause in plan.dropped:
            if cause.startswith(f"{Kind.SILENT}:"):  # told for a day; its row is not needed any more
                tx.workers.end(cause.partition(":")[2])
        if not plan.notices:
            tx.alerts.end_turn(self._owner)
        return plan


def _settle(notice: Notice, tx: Transaction, now: datetime) -> None:
    if notice.phase is Phase.OVER:
        tx.alerts.remove(notice.causes)
    else:
        tx.alerts.count_told(notice.causes, now)
