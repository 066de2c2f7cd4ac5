"""What the store knows of channels: failures in a row, pauses, how much was sent this minute; and the halt."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from publisher.announcement import Person
from publisher.store.schema import channels, halts

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Health:
    """A channel's standing. ``paused_at`` is ``None`` while it works; ``retry_at`` is its next slow try."""

    name: str
    failures: int = 0
    paused_at: datetime | None = None
    retry_at: datetime | None = None
    reason: str = ""
    window_start: datetime | None = None
    window_count: int = 0

    def allowance(self, cap: int, now: datetime) -> int:
        """How many deliveries may start now: one while it is tried, none while it is paused, else up to the cap."""
        if self.paused_at is not None:
            return 1 if self.retry_at is None or self.retry_at <= now else 0
        return max(0, cap - (self.window_count if self._is_current(now) else 0))

    def _is_current(self, now: datetime) -> bool:
        return self.window_start is not None and self.window_start <= now < self.window_start + MINUTE


@dataclass(frozen=True, slots=True)
class Halt:
    """Everything stands still since ``since``, by the word of ``actor``, from the operating system's ``account``."""

    since: datetime
    actor: str
    account: str = ""


class Channels:
    """Reads and writes the standing of channels. A channel without a row has never failed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> Mapping[str, Health]:
        """The standing of every channel that has one, by name."""
        return {row.name: _health(row) for row in self._connection.execute(select(channels))}

    def get(self, name: str) -> Health:
        """The standing of one channel."""
        row = self._connection.execute(select(channels).where(channels.c.name == name)).first()
        return _health(row) if row else Health(name)

    def hold(self, names: Collection[str]) -> Mapping[str, Health]:
        """The standing of ``names``, which nobody else changes, as nobody halts, until this transaction ends.

        On PostgreSQL several write at a time, so that rows are held, in the order of their names, lest two workers
        wait for each other; SQLite has one writer anyway.
        """
        if self._connection.dialect.name != "postgresql":
            return {**{name: Health(name) for name in names}, **self.all()}
        self._connection.execute(text("LOCK TABLE halts IN SHARE MODE"))
        held = select(channels).where(channels.c.name.in_(names)).order_by(channels.c.name).with_for_update()
        found = self._connection.execute(held).all()
        if missing := set(names) - {row.name for row in found}:
            from sqlalchemy.dialects.postgresql import insert as insert_if_new

            rows = [{"name": name} for name in sorted(missing)]
            self._connection.execute(insert_if_new(channels).on_conflict_do_nothing(), rows)
            found = self._connection.execute(held).all()
        return {row.name: _health(row) for row in found}

    def count_started(self, started: Mapping[str, int], held: Mapping[str, Health], now: datetime) -> None:
        """Counts deliveries that have ``started``, by channel, into each one's current minute.

        ``held`` is what :meth:`hold` has told within this transaction.
        """
        for name, count in started.items():
            health = held[name]
            start, before = (
                (health.window_start, health.window_count) if health._is_current(now) else (now, 0)
            )
            self._write(name, window_start=start, window_count=before + count)

    def failed(self, name: str, reason: str) -> int:
        """One more failure in a row; how many there are now."""
        failures = self.get(name).failures + 1
        self._write(name, failures=failures, reason=reason)
        return failures

    def pause(self, name: str, reason: str, now: datetime, retry_at: datetime) -> bool:
        """Pauses a channel, or sets its next slow try; whether it was working until now."""
        health = self.get(name)
        self._write(name, paused_at=health.paused_at or now, retry_at=retry_at, reason=reason)
        return health.paused_at is None

    def resume(self, name: str) -> bool:
        """The channel works again; whether it was paused."""
        health = self.get(name)
        if health.failures or health.paused_at is not None:
            self._write(name, failures=0, paused_at=None, retry_at=None, reason="")
        return health.paused_at is not None

    def _write(self, name: str, **values: Any) -> None:
        change = update(channels).where(channels.c.name == name).values(**values)
        if self._connection.execute(change).rowcount:
            return
        try:
            with self._connection.begin_nested():
                self._connection.execute(insert(channels).values(name=name, **values))
        except IntegrityError:  # another worker has just written the channel's first row
            self._connection.execute(change)

    def halt(self, person: Person, now: datetime) -> bool:
        """Stops everything; whether it was running until now."""
        if self.halted() is not None:
            return False
        values = {"id": 1, "since": now, "actor": person.name, "account": person.account}
        try:
            with self._connection.begin_nested():
                self._connection.execute(insert(halts).values(**values))
        except IntegrityError:  # another person was faster by a moment
            return False
        return True

    def unhalt(self) -> bool:
        """Lets everything go on; whether it was halted."""
        return bool(self._connection.execute(delete(halts)).rowcount)

    def halted(self) -> Halt | None:
        """The halt that is on, if there is one."""
        row = self._connection.execute(select(halts)).first()
        return Halt(row.since, row.actor, row.account) if row else None


def _health(row: Row[Any]) -> Health:
    return Health(
        row.name,
        row.failures,
        row.paused_at,
        row.retry_at,
        row.reason,
        row.window_start,
        row.window_count,
    )
