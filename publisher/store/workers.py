"""The workers' signs of life."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from publisher.store.schema import deliveries, workers

SILENT_AFTER = timedelta(minutes=5)
"""A worker gives a sign of life every minute; one not seen for longer than this has fallen silent."""


class Workers:
    """Reads and writes when each worker was last seen. One that ends cleanly leaves no row."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> Mapping[str, datetime]:
        """When each worker was last seen, by name."""
        return {row.owner: row.seen_at for row in self._connection.execute(select(workers))}

    def seen(self, owner: str, now: datetime) -> None:
        """A sign of life."""
        mine = update(workers).where(workers.c.owner == owner).values(seen_at=now)
        if not self._connection.execute(mine).rowcount:
            self._connection.execute(insert(workers).values(owner=owner, seen_at=now))

    def end(self, owner: str) -> None:
        """A worker ended cleanly, or need not be heard of any more."""
        self._connection.execute(delete(workers).where(workers.c.owner == owner))

    def is_any_at_work(self, now: datetime) -> bool:
        """Whether one is alive: seen of late, or holding a delivery, as ``publisher worker --once`` does."""
        if any(now - seen_at <= SILENT_AFTER for seen_at in self.all().values()):
            return True
        held = select(deliveries.c.id).where(
            deliveries.c.lease_until.is_not(None), deliveries.c.lease_until > now
        )
        return self._connection.execute(held.limit(1)).first() is not None
