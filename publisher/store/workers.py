"""The workers' signs of life."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from publisher.store.schema import workers


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
