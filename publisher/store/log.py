"""The append-only log: what happened, to what, by whom. The database itself refuses to change or delete a line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from publisher.announcement import Person
from publisher.delivery import Delivery
from publisher.store.schema import events

MACHINE = Person("worker", "")
"""The actor of everything that happens unattended."""


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
        row = {
            "at": at,
            "announcement": announcement,
            "delivery_id": delivery,
            "attempt": attempt,
            "name": name,
            "actor": actor.name,
            "account": actor.account,
            "detail": json.dumps(detail, ensure_ascii=False, sort_keys=True),
        }
        self._connection.execute(_ADD, row)

    def add_for(self, deliveries: Sequence[Delivery], at: datetime, name: str, **detail: Any) -> None:
        """Appends the same line for each of ``deliveries``, by the worker."""
        written = json.dumps(detail, ensure_ascii=False, sort_keys=True)
        rows = [
            {
                "at": at,
                "announcement": delivery.announcement,
                "delivery_id": delivery.id,
                "attempt": delivery.attempt,
                "name": name,
                "actor": MACHINE.name,
                "account": MACHINE.account,
                "detail": written,
            }
            for delivery in deliveries
        ]
        if rows:
            self._connection.execute(_ADD, rows)

    def of(self, announcement: str) -> list[Event]:
        """The log of an announcement, oldest first."""
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
