"""Pictures, each once by its hash: what is kept of an officer's, and the copies that were sealed for a channel."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from publisher.channel import Picture
from publisher.errors import PublisherError
from publisher.pictures import Kept
from publisher.store.schema import pictures


class Pictures:
    """Written once; the bytes are checked against their hash whenever they are read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, found: Iterable[Kept | Picture]) -> None:
        """Keeps those that are not there yet."""
        rows = [{"sha256": one.sha256, "data": one.data} for one in found]
        if rows:
            dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
            self._connection.execute(dialect.insert(pictures).on_conflict_do_nothing(), rows)

    def data(self, digests: Iterable[str]) -> Mapping[str, bytes]:
        """The bytes by hash. Raises :class:`PublisherError` for a picture that is gone, or is another one now."""
        wanted = set(filter(None, digests))
        if not wanted:
            return {}
        query = select(pictures).where(pictures.c.sha256.in_(wanted))
        found = {row.sha256: bytes(row.data) for row in self._connection.execute(query)}
        for digest in wanted:
            if hashlib.sha256(found.get(digest, b"")).hexdigest() != digest:
                raise PublisherError(
                    f"A picture ({digest[:12]}) is missing or has been changed in the store; revise the announcement "
                    "with the picture, or bring the store back from a backup."
                )
        return found
