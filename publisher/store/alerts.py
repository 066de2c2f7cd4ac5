"""Alerts that are open, and the deliveries that give cause for one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, delete, insert, select, update

from publisher.delivery import Delivery, State
from publisher.store.deliveries import from_row
from publisher.store.schema import OPEN, STUCK, alerts, deliveries

_MOST = 500
"""So many deliveries of a state are looked at, those that have waited longest first."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that is open. ``told_at`` is ``None`` until somebody has been told; ``told`` counts how often."""

    cause: str
    message: str
    opened_at: datetime
    told_at: datetime | None = None
    told: int = 0


class Alerts:
    """Reads and writes open alerts; a cause has one at most."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[Alert]:
        """The open alerts, oldest first."""
        query = select(alerts).order_by(alerts.c.opened_at, alerts.c.cause)
        return [
            Alert(row.cause, row.message, row.opened_at, row.told_at, row.told)
            for row in self._connection.execute(query)
        ]

    def add(self, opened: Iterable[tuple[str, str]], now: datetime) -> None:
        """Opens alerts, each a cause and what is said about it."""
        rows = [{"cause": cause, "message": message, "opened_at": now} for cause, message in opened]
        if rows:
            self._connection.execute(insert(alerts), rows)

    def count_told(self, causes: Collection[str], now: datetime) -> None:
        """Somebody has been told of ``causes``."""
        values = {"told": alerts.c.told + 1, "told_at": now}
        self._connection.execute(update(alerts).where(alerts.c.cause.in_(causes)).values(values))

    def remove(self, causes: Collection[str]) -> None:
        """Closes the alerts of ``causes``."""
        if causes:
            self._connection.execute(delete(alerts).where(alerts.c.cause.in_(causes)))

    def stuck(self, since: datetime, known: Collection[str]) -> list[tuple[Delivery, datetime]]:
        """Deliveries that only a person can move, and when each came to stand still.

        Failed and missed ones only where that was after ``since``, or where their key is among ``known``.
        """
        moved = deliveries.c.moved_at
        still = select(deliveries).where(STUCK, moved.is_not(None))
        asks = still.where(deliveries.c.state == State.UNCERTAIN, deliveries.c.due_at.is_(None))
        parked = still.where(deliveries.c.state == State.PARKED)
        ended = [still.where(deliveries.c.state == s, moved >= since) for s in (State.FAILED, State.MISSED)]
        older = still.where(deliveries.c.key.in_(known))
        found = dict[int, tuple[Delivery, datetime]]()
        for query in (asks, parked, *ended):
            found |= self._read(query.order_by(moved, deliveries.c.id).limit(_MOST))
        if known:
            found |= self._read(older)
        return [one for one in found.values() if one[0].state is not State.UNCERTAIN or not one[0].due_at]

    def _read(self, query: Select[tuple[object, ...]]) -> dict[int, tuple[Delivery, datetime]]:
        return {row.id: (from_row(row), row.moved_at) for row in self._connection.execute(query)}

    def overdue(self, before: datetime, resting: Collection[str]) -> list[Delivery]:
        """What has been due since ``before`` and that nobody has begun; not on the channels that are ``resting``."""
        query = (
            select(deliveries)
            .where(OPEN, deliveries.c.state == State.WAITING, deliveries.c.due_at < before)
            .where(deliveries.c.channel.not_in(resting))
            .order_by(deliveries.c.due_at, deliveries.c.id)
            .limit(_MOST)
        )
        return [from_row(row) for row in self._connection.execute(query)]
