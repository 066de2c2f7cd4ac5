"""Alerts that are open, and the deliveries that give cause for one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from publisher.delivery import Delivery, State
from publisher.store.deliveries import from_row
from publisher.store.schema import OPEN, STUCK, alerts, deliveries

_MOST = 500
"""So many deliveries of a state are looked at, those that have waited longest first."""
_TELLING = "telling"
"""No cause, but the row that says who tells at this moment, since two would tell everything twice."""


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
        query = select(alerts).where(alerts.c.cause != _TELLING).order_by(alerts.c.opened_at, alerts.c.cause)
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

    def take_turn(self, owner: str, now: datetime, lease: timedelta) -> bool:
        """Whether ``owner`` may tell: nobody else does, or began to so long ago that it must have died."""
        row = alerts.c.cause == _TELLING
        self._connection.execute(delete(alerts).where(row, alerts.c.opened_at < now - lease))
        renewed = update(alerts).where(row, alerts.c.message == owner).values(opened_at=now)
        if self._connection.execute(renewed).rowcount:
            return True
        try:
            with self._connection.begin_nested():
                self._connection.execute(insert(alerts).values(cause=_TELLING, message=owner, opened_at=now))
        except IntegrityError:
            return False
        return True

    def end_turn(self, owner: str) -> None:
        """``owner`` has told what there was to tell."""
        self._connection.execute(delete(alerts).where(alerts.c.cause == _TELLING, alerts.c.message == owner))

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

    def unseen(self, before: datetime) -> list[tuple[Delivery, datetime]]:
        """What was sent before ``before``, and since when, and is still looked for."""
        since = deliveries.c.tried_since
        query = select(deliveries).where(OPEN, deliveries.c.state == State.ACCEPTED, since < before)
        rows = self._connection.execute(query.order_by(since, deliveries.c.id).limit(_MOST))
        return [(from_row(row), row.tried_since) for row in rows]

    def overdue(self, before: datetime, resting: Collection[str]) -> list[tuple[Delivery, datetime]]:
        """What nobody has taken up since before ``before``, and since when; not on channels that are ``resting``.

        That is what has been due, to be sent or to be asked about, and what a worker that is gone was sending.
        """
        due, until = deliveries.c.due_at, deliveries.c.lease_until
        idle = select(deliveries).where(OPEN, due < before, deliveries.c.channel.not_in(resting))
        idle = idle.where(or_(until.is_(None), until < before))
        left = select(deliveries).where(until.is_not(None), until < before)
        left = left.where(deliveries.c.state == State.SENDING)
        found = []
        for query, since in ((idle, due), (left, until)):
            rows = self._connection.execute(query.order_by(since, deliveries.c.id).limit(_MOST))
            found += [(from_row(row), row._mapping[since]) for row in rows]
        return found
