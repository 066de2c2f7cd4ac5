"""The append-only log: what happened, to what, by whom. The database itself refuses to change or delete a line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from publisher.announcement import Person
from publisher.delivery import Delivery, Move
from publisher.store.schema import events

MACHINE = Person("worker", "")
"""The actor of everything that happens unattended."""
OFFICE = ""
"""Stands for an announcement in what concerns the office as a whole: a halt, a channel that pauses."""


_ADD = insert(events)  # built once, it is the hot path


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log; ``name`` is ``noun.verb_past``, ``detail`` is plain JSON data."""

    at: datetime
    announcement: str
    delivery: int | None
    attempt: int | None
    name: str
    actor: str
    account: str
    detail: Mapping[str, Any]


_written = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


def _row(
    at: datetime,
    announcement: str,
    delivery: int | None,
    attempt: int | None,
    name: str,
    actor: Person,
    detail: str,
) -> dict[str, Any]:
    return {
        "at": at,
        "announcement": announcement,
        "delivery_id": delivery,
        "attempt": attempt,
        "name": name,
        "actor": actor.name,
        "account": actor.account,
        "detail": detail,
    }


def _moved(move: Move) -> dict[str, str]:
    detail = {"state": str(move.to), "reason": move.reason}
    if move.receipt:
        detail |= {"id": move.receipt.id, "url": move.receipt.links.both if move.receipt.links else ""}
    if move.due_at:
        detail["due_at"] = move.due_at.isoformat()
    return detail


class Log:
    """Appends and reads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        at: datetime,
        announcement: str,
        name: str,
        actor: Person = MACHINE,
        *,
        delivery: int | None = None,
        attempt: int | None = None,
        **detail: Any,
    ) -> None:
        """Appends one line."""
        self._connection.execute(
            _ADD, _row(at, announcement, delivery, attempt, name, actor, _written(detail))
        )

    def add_for(self, deliveries: Sequence[Delivery], at: datetime, name: str, **detail: Any) -> None:
        """Appends the same line for each of ``deliveries``, by the worker."""
        written = _written(detail)
        rows = [_row(at, d.announcement, d.id, d.attempt, name, MACHINE, written) for d in deliveries]
        if rows:
            self._connection.execute(_ADD, rows)

    def add_moves(
        self, decided: Sequence[tuple[Delivery, Move]], at: datetime, actor: Person = MACHINE
    ) -> None:
        """Appends a line for each of the moves of deliveries, under the name of the move."""
        rows = [
            _row(at, d.announcement, d.id, d.attempt, move.event, actor, _written(_moved(move)))
            for d, move in decided
        ]
        self._connection.execute(_ADD, rows)

    def of(self, announcement: str) -> list[Event]:
        """The log of an announcement, or of the :data:`OFFICE`, oldest first."""
        query = select(events).where(events.c.announcement == announcement).order_by(events.c.id)
        return [
            Event(
                row.at,
                row.announcement,
                row.delivery_id,
                row.attempt,
                row.name,
                row.actor,
                row.account,
                json.loads(row.detail),
            )
            for row in self._connection.execute(query)
        ]
