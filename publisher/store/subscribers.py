"""Subscribers, the lists they are on, and the addresses that nothing may be sent to again."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from publisher.addresses import digest
from publisher.store.schema import bounces, memberships, subscribers, suppressions
from publisher.subscriber import Consent, Reading, Subscriber, SubscriberState, Suppression

_PAGE = 1000
"""So many subscribers are read at a time where all are."""


class Subscribers:
    """Reads and writes subscribers. An address is there once, by its normal form."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = postgresql if connection.dialect.name == "postgresql" else sqlite

    # --- writing ------------------------------------------------------------------------------------------------

    def add(self, found: Sequence[Subscriber], now: datetime) -> None:
        """Adds subscribers whose addresses are not there yet, with their lists.

        Who has come in by another transaction meanwhile stays as she is, and is put on these lists too.
        """
        if not found:
            return
        rows = [self._row(one, now) for one in found]
        added = self._dialect.insert(subscribers).on_conflict_do_nothing(index_elements=["normal"])
        self._connection.execute(added, rows)
        ids = self._ids([one.normal for one in found])
        self._join([(name, ids[one.normal]) for one in found for name in one.lists])

    def join(self, found: Iterable[Subscriber], lists: Mapping[str, Collection[str]]) -> None:
        """Puts subscribers that are there on more lists, given by normal address."""
        self._join([(name, one.id) for one in found for name in lists[one.normal]])

    def change(self, id_: int, now: datetime, **values: Any) -> None:
        """Changes columns of one subscriber."""
        changed = update(subscribers).where(subscribers.c.id == id_)
        self._connection.execute(changed.values(changed_at=now, **values))

    def count_bounce(self, id_: int, now: datetime) -> int:
        """One more newsletter that her mailbox could not take; how many by now."""
        mine = update(subscribers).where(subscribers.c.id == id_)
        counted = mine.values(bounces=subscribers.c.bounces + 1, changed_at=now).returning(
            subscribers.c.bounces
        )
        return int(self._connection.execute(counted).scalar_one())

    def has_bounced(self, id_: int, delivery: int) -> bool:
        """Whether a report is kept already that her mailbox could not take the newsletter of this delivery."""
        query = select(bounces.c.id).where(
            bounces.c.subscriber_id == id_, bounces.c.delivery_id == delivery, bounces.c.kind == "soft"
        )
        return self._connection.execute(query.limit(1)).first() is not None

    def rejoin(self, id_: int, lists: Collection[str]) -> None:
        """Exactly these lists."""
        self._connection.execute(delete(memberships).where(memberships.c.subscriber_id == id_))
        self._join([(name, id_) for name in lists])

    def remove(self, id_: int) -> None:
        """Deletes one subscriber; her letters stay without an address."""
        self._connection.execute(delete(memberships).where(memberships.c.subscriber_id == id_))
        self._connection.execute(delete(subscribers).where(subscribers.c.id == id_))

    def suppress(self, normal: str, reason: Suppression, now: datetime, detail: str = "") -> None:
        """Nothing is sent to this address again, whoever brings it in; the newest reason stands."""
        values = {"digest": digest(normal), "reason": reason, "at": now, "detail": detail}
        statement = self._dialect.insert(suppressions).values(values)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=["digest"], set_={k: values[k] for k in values})
        )

    def unsuppress(self, normal: str) -> None:
        """The person has asked for it herself."""
        self._connection.execute(delete(suppressions).where(suppressions.c.digest == digest(normal)))

    def _row(self, one: Subscriber, now: datetime) -> dict[str, Any]:
        return {
            "ref": one.ref or secrets.token_hex(8),
            "address": one.address,
            "normal": one.normal,
            "name": one.name,
            "reading": one.reading,
            "state": one.state,
            "source": one.source,
            "consent_at": one.consent.at,
            "consent_how": one.consent.how,
            "consent_text": one.consent.text,
            "created_at": now,
            "changed_at": now,
        }

    def _join(self, pairs: Iterable[tuple[str, int]]) -> None:
        rows = [{"list": name, "subscriber_id": id_} for name, id_ in dict.fromkeys(pairs)]
        if rows:
            self._connection.execute(self._dialect.insert(memberships).on_conflict_do_nothing(), rows)

    def _ids(self, normals: Sequence[str]) -> dict[str, int]:
        query = select(subscribers.c.normal, subscribers.c.id).where(subscribers.c.normal.in_(normals))
        return {row[0]: row[1] for row in self._connection.execute(query)}

    # --- reading ------------------------------------------------------------------------------------------------

    def by_normal(self, normals: Collection[str]) -> dict[str, Subscriber]:
        """Those who are there, by normal address."""
        return (
            {one.normal: one for one in self._read(subscribers.c.normal.in_(list(normals)))}
            if normals
            else {}
        )

    def by_ref(self, ref: str) -> Subscriber | None:
        """Whose ``ref`` it is."""
        return next(iter(self._read(subscribers.c.ref == ref)), None)

    def hold(self, ref: str) -> Subscriber | None:
        """Whose ``ref`` it is; nobody else changes her until this transaction ends. SQLite has one writer anyway."""
        self._connection.execute(
            select(subscribers.c.id).where(subscribers.c.ref == ref).with_for_update()
        ).first()
        return self.by_ref(ref)

    def suppressed(self, normals: Collection[str]) -> dict[str, Suppression]:
        """Why nothing may be sent to some of these addresses."""
        by_digest = {digest(normal): normal for normal in normals}
        if not by_digest:
            return {}
        query = select(suppressions.c.digest, suppressions.c.reason)
        rows = self._connection.execute(query.where(suppressions.c.digest.in_(list(by_digest))))
        return {by_digest[row[0]]: Suppression(row[1]) for row in rows}

    def all(self, list_: str = "", state: SubscriberState | None = None) -> Iterator[Subscriber]:
        """Everybody, in the order they came, a page at a time; only of one list or state where one is named."""
        last = 0
        while True:
            conditions: list[Any] = [subscribers.c.id > last]
            if list_:
                member = select(memberships.c.subscriber_id).where(memberships.c.list == list_)
                conditions.append(subscribers.c.id.in_(member))
            if state is not None:
                conditions.append(subscribers.c.state == state)
            page = self._read(*conditions)
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1].id

    def counts(self) -> Mapping[tuple[str, str], int]:
        """How many there are, by state and by what they read."""
        columns = (subscribers.c.state, subscribers.c.reading)
        query = select(*columns, func.count()).group_by(*columns)
        return {(row[0], row[1]): row[2] for row in self._connection.execute(query)}

    def lists(self) -> Mapping[str, int]:
        """How many active subscribers each list has."""
        query = (
            select(memberships.c.list, func.count())
            .join(subscribers, subscribers.c.id == memberships.c.subscriber_id)
            .where(subscribers.c.state == SubscriberState.ACTIVE)
            .group_by(memberships.c.list)
            .order_by(memberships.c.list)
        )
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def _read(self, *conditions: Any) -> list[Subscriber]:
        query = select(subscribers).where(*conditions).order_by(subscribers.c.id).limit(_PAGE)
        found = [_subscriber(row) for row in self._connection.execute(query)]
        joined: dict[int, list[str]] = {}
        if found:
            for row in self._connection.execute(_LISTS, {"ids": [one.id for one in found]}):
                joined.setdefault(row.subscriber_id, []).append(row.list)
        return [replace(one, lists=tuple(joined.get(one.id, ()))) for one in found]


_LISTS: Select[Any] = (
    select(memberships)
    .where(memberships.c.subscriber_id.in_(bindparam("ids", expanding=True)))
    .order_by(memberships.c.list)
)


def _subscriber(row: Row[Any]) -> Subscriber:
    return Subscriber(
        address=row.address,
        normal=row.normal,
        name=row.name,
        reading=Reading(row.reading),
        state=SubscriberState(row.state),
        consent=Consent(row.consent_at, row.consent_how, row.consent_text),
        source=row.source,
        id=row.id,
        ref=row.ref,
        created_at=row.created_at,
    )
