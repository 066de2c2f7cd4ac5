"""What came back: one row for each report, however often it is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select
from sqlalchemy.dialects import postgresql, sqlite

from publisher.bounces.report import Kind
from publisher.mailing import LetterState
from publisher.store.schema import bounces, deliveries, letters, mailings


@dataclass(frozen=True, slots=True)
class Bounce:
    """One report as it was read.

    ``digest`` is that of the report, in hex. ``subscriber`` and ``delivery`` are the store's numbers, ``None`` where
    nothing with our signature says whose it is.
    """

    digest: str
    at: datetime
    kind: Kind
    subscriber: int | None = None
    delivery: int | None = None
    status: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """One mailing: how many letters its servers took, and how many reports of each kind came back about it."""

    delivery: int
    key: str
    announcement: str
    channel: str
    sent: int
    kinds: Mapping[Kind, int]


class Bounces:
    """Adds and counts reports."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, bounce: Bounce) -> bool:
        """Keeps a report; ``False`` where the same one is there already."""
        dialect = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        row = {
            "digest": bounce.digest,
            "at": bounce.at,
            "kind": str(bounce.kind),
            "subscriber_id": bounce.subscriber,
            "delivery_id": bounce.delivery,
            "status": bounce.status[:16],
            "said": bounce.said,
        }
        added = dialect.insert(bounces).values(row).on_conflict_do_nothing(index_elements=["digest"])
        return bool(self._connection.execute(added).rowcount)

    def has(self, digest: str) -> bool:
        """Whether a report was read before."""
        query = select(bounces.c.id).where(bounces.c.digest == digest)
        return self._connection.execute(query).first() is not None

    def is_previous_fine(self, subscriber: int, delivery: int) -> bool:
        """Whether the letter she had before that of ``delivery`` was taken, and nothing came back about it."""
        earlier = select(mailings.c.delivery_id).where(mailings.c.delivery_id < delivery)
        query = (
            select(letters.c.delivery_id, letters.c.state)
            .where(letters.c.subscriber_id == subscriber, letters.c.delivery_id.in_(earlier))
            .order_by(letters.c.delivery_id.desc())
            .limit(1)
        )
        last = self._connection.execute(query).first()
        if last is None or last.state != str(LetterState.SENT):
            return False
        about = (bounces.c.subscriber_id == subscriber, bounces.c.delivery_id == last.delivery_id)
        return self._connection.execute(select(bounces.c.id).where(*about)).first() is None

    def counts(self, delivery: int | None = None) -> Mapping[Kind, int]:
        """How many reports of each kind there are, about one mailing or about all."""
        query = select(bounces.c.kind, func.count()).group_by(bounces.c.kind)
        if delivery is not None:
            query = query.where(bounces.c.delivery_id == delivery)
        return {Kind(kind): count for kind, count in self._connection.execute(query)}

    def recent(self, limit: int = 20, kinds: Sequence[Kind] = ()) -> list[Bounce]:
        """The newest reports, of some kinds or of all; of :attr:`Kind.UNKNOWN` those that a person must look at."""
        query = select(bounces).order_by(bounces.c.at.desc(), bounces.c.id.desc()).limit(limit)
        if kinds:
            query = query.where(bounces.c.kind.in_([str(kind) for kind in kinds]))
        return [_bounce(row) for row in self._connection.execute(query)]

    def tallies(self, limit: int = 20) -> list[Tally]:
        """The newest mailings of which anything was sent or anything has come back, the newest first."""
        concerned = select(letters.c.delivery_id).union(
            select(bounces.c.delivery_id).where(bounces.c.delivery_id.is_not(None))
        )
        query = (
            select(deliveries.c.id, deliveries.c.key, deliveries.c.announcement, deliveries.c.channel)
            .where(deliveries.c.id.in_(concerned))
            .order_by(deliveries.c.id.desc())
            .limit(limit)
        )
        rows = self._connection.execute(query).all()
        ids = [row.id for row in rows]
        sent = self._sent(ids)
        kinds = self._kinds(bounces.c.delivery_id.in_(ids))
        return [
            Tally(row.id, row.key, row.announcement, row.channel, sent.get(row.id, 0), kinds.get(row.id, {}))
            for row in rows
        ]

    def _sent(self, ids: Sequence[int]) -> dict[int, int]:
        query = (
            select(letters.c.delivery_id, func.count())
            .where(letters.c.delivery_id.in_(ids), letters.c.state == str(LetterState.SENT))
            .group_by(letters.c.delivery_id)
        )
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def _kinds(self, which: ColumnElement[bool]) -> dict[int, dict[Kind, int]]:
        """Subscribers, not reports: a server that reports the same letter twice is counted once."""
        query = (
            select(bounces.c.delivery_id, bounces.c.kind, func.count(bounces.c.subscriber_id.distinct()))
            .where(which)
            .group_by(bounces.c.delivery_id, bounces.c.kind)
        )
        found: dict[int, dict[Kind, int]] = {}
        for delivery, kind, count in self._connection.execute(query):
            found.setdefault(delivery, {})[Kind(kind)] = count
        return found


def _bounce(row: Row[Any]) -> Bounce:
    return Bounce(
        row.digest, row.at, Kind(row.kind), row.subscriber_id, row.delivery_id, row.status, row.said
    )
