"""The ledger of letters: listed once, taken in groups, settled in groups, each under the claim of its delivery."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    func,
    literal,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from publisher.mailing import LetterState, Settled
from publisher.store.schema import UNSETTLED, UtcTime, letters, mailings, memberships, subscribers
from publisher.subscriber import SubscriberState

LISTED_AT_ONCE = 20_000
"""So many subscribers are listed in one transaction, so that a long list does not hold the store."""
_WAITS = (LetterState.LISTED, LetterState.DEFERRED)


def _is(state: LetterState) -> ColumnElement[bool]:
    """A condition that the index of what is not at its end fits: planners compare it word by word."""
    return and_(UNSETTLED, letters.c.state == literal_column(f"'{state}'"))


_NUMBER: BindParameter[int] = bindparam("number")
_FENCE: BindParameter[int] = bindparam("of_fence")
_SETTLE = {
    "sqlite": "UPDATE letters SET state = ?, answer = ?, due_at = ?, at = ? "
    "WHERE id = ? AND fence = ? AND state = 'taken'",
    "postgresql": "UPDATE letters SET state = new.state, answer = new.answer, due_at = new.due_at, at = %s "
    "FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::bigint[]) AS new(state, answer, due_at, id) "
    "WHERE letters.id = new.id AND letters.fence = %s AND letters.state = 'taken'",
}
"""What became of letters, if they are still in the hands of whoever says so. The one statement that is run for every
message, and so goes to the driver as it is: preparing its parameters would take longer than the database does."""
_MINE = (letters.c.delivery_id == bindparam("of_delivery"),)
_READY: Select[Any] = (
    select(
        letters.c.id,
        letters.c.attempts,
        subscribers.c.address,
        subscribers.c.normal,
        subscribers.c.name,
        subscribers.c.reading,
        subscribers.c.ref,
        subscribers.c.state,
    )
    .select_from(letters.outerjoin(subscribers, subscribers.c.id == letters.c.subscriber_id))
    .where(*_MINE)
    .limit(bindparam("most"))
)
_LISTED = _READY.where(_is(LetterState.LISTED)).order_by(letters.c.id)
_DEFERRED = _READY.where(
    _is(LetterState.DEFERRED), letters.c.due_at <= bindparam("now", type_=UtcTime)
).order_by(letters.c.id)
_TAKE = (
    update(letters)
    .where(letters.c.id == _NUMBER, _is(LetterState.DEFERRED))
    .values(state=LetterState.TAKEN, fence=_FENCE, attempts=letters.c.attempts + 1)
)
_TAKE_RANGE = (
    update(letters)
    .where(*_MINE, _is(LetterState.LISTED))
    .where(letters.c.id.between(bindparam("first"), bindparam("last")))
    .values(state=LetterState.TAKEN, fence=_FENCE, attempts=letters.c.attempts + 1)
)
"""A run of listed letters: in the order of their ids, so that nothing lies between that was not read."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A letter in hand: its number in the ledger, which attempt this is, and its subscriber."""

    number: int
    attempt: int
    address: str
    normal: str
    name: str
    reading: str
    ref: str


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A letter of which nobody knows whether it was sent; ``address`` is empty where its subscriber was removed."""

    number: int
    address: str
    answer: str
    at: datetime | None


class Mailings:
    """Reads and writes the letters of mailings."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = postgresql if connection.dialect.name == "postgresql" else sqlite

    # --- listing ------------------------------------------------------------------------------------------

    def begin(self, delivery: int) -> None:
        """Fixes who gets it: those who are subscribed at this moment. Does nothing where that was done."""
        newest = select(literal(delivery), func.coalesce(func.max(subscribers.c.id), 0))
        made = self._dialect.insert(mailings).from_select(["delivery_id", "last"], newest)
        if self._dialect is sqlite:  # its grammar takes ON CONFLICT for a join's, unless there is a WHERE
            made = self._dialect.insert(mailings).from_select(
                ["delivery_id", "last"], newest.where(literal(True))
            )
        self._connection.execute(made.on_conflict_do_nothing())

    def list_more(self, delivery: int, lists: Collection[str]) -> int:
        """Adds the letters of the next subscribers, in the order they came; how many are still to be looked at.

        ``lists`` are those the channel sends to, empty for all subscribers.
        """
        row = self._connection.execute(select(mailings).where(mailings.c.delivery_id == delivery)).one()
        span = and_(subscribers.c.id > row.upto, subscribers.c.id <= row.last)
        ids = select(subscribers.c.id).where(span).order_by(subscribers.c.id).limit(LISTED_AT_ONCE).subquery()
        upto = self._connection.execute(select(func.max(ids.c.id))).scalar()
        if upto is None:
            return 0
        chosen = select(literal(delivery), subscribers.c.id, literal(str(LetterState.LISTED))).where(
            subscribers.c.id > row.upto,
            subscribers.c.id <= upto,
            subscribers.c.state == SubscriberState.ACTIVE,
        )
        if lists:
            member = select(memberships.c.subscriber_id).where(memberships.c.list.in_(list(lists)))
            chosen = chosen.where(subscribers.c.id.in_(member))
        names = ["delivery_id", "subscriber_id", "state"]
        made = self._dialect.insert(letters).from_select(names, chosen.order_by(subscribers.c.id))
        self._connection.execute(made.on_conflict_do_nothing())
        self._connection.execute(update(mailings).where(mailings.c.delivery_id == delivery).values(upto=upto))
        return int(row.last - upto)

    # --- taking and settling --------------------------------------------------------------------------------

    def take(self, delivery: int, fence: int, now: datetime, most: int) -> list[Taken]:
        """Takes up to ``most`` letters under claim ``fence``: what was deferred and is due, then what is listed.

        The letters of subscribers who have left meanwhile are skipped.
        """
        given = {"of_delivery": delivery, "of_fence": fence}
        due = self._connection.execute(_DEFERRED, {"of_delivery": delivery, "now": now, "most": most}).all()
        if due:
            self._connection.execute(_TAKE, [{"number": row.id, "of_fence": fence} for row in due])
        listed: Sequence[Any] = []
        if len(due) < most:
            listed = self._connection.execute(
                _LISTED, {"of_delivery": delivery, "most": most - len(due)}
            ).all()
        if listed:
            span = {"first": listed[0].id, "last": listed[-1].id}
            self._connection.execute(_TAKE_RANGE, {**given, **span})
        rows = [*due, *listed]
        gone = [row.id for row in rows if row.state != SubscriberState.ACTIVE]
        self.settle(
            [Settled(one, LetterState.SKIPPED, "not subscribed any more") for one in gone], fence, now
        )
        return [
            Taken(row.id, row.attempts + 1, row.address, row.normal, row.name, row.reading, row.ref)
            for row in rows
            if row.state == SubscriberState.ACTIVE
        ]

    def settle(self, found: Sequence[Settled], fence: int, now: datetime) -> None:
        """Writes what became of letters that were taken under claim ``fence``; a late result changes nothing."""
        if not found:
            return
        statement = _SETTLE[self._connection.dialect.name]
        if self._dialect is postgresql:
            columns = [[str(one.state) for one in found], [one.answer for one in found]]
            due = [one.due_at for one in found]
            given = (now, *columns, due, [one.number for one in found], fence)
            self._connection.exec_driver_sql(statement, given)
            return
        at = _sqlite_time(now)
        rows = [
            (str(one.state), one.answer, _sqlite_time(one.due_at), at, one.number, fence) for one in found
        ]
        self._connection.exec_driver_sql(statement, rows)

    def in_hand(self, delivery: int) -> Mapping[int, list[int]]:
        """The numbers of the letters that are in somebody's hands, by the claim they were taken under."""
        query = select(letters.c.id, letters.c.fence).where(
            letters.c.delivery_id == delivery, letters.c.state == LetterState.TAKEN
        )
        found: dict[int, list[int]] = {}
        for row in self._connection.execute(query):
            found.setdefault(row.fence, []).append(row.id)
        return found

    def skip(self, delivery: int, answer: str, now: datetime) -> None:
        """Nothing more of a mailing is sent: what is listed or deferred is skipped."""
        self._change(delivery, _WAITS, LetterState.SKIPPED, now, answer=answer)

    def list_again(
        self, delivery: int, now: datetime, *, most: int | None = None, only: Collection[int] | None = None
    ) -> None:
        """Letters in doubt are to be sent again, with the same Message-IDs: not after ``most`` attempts, or ``only``
        these numbers."""
        mine = update(letters).where(letters.c.delivery_id == delivery, _is(LetterState.UNKNOWN))
        if most is not None:
            mine = mine.where(letters.c.attempts < most)
        if only is not None:
            mine = mine.where(letters.c.id.in_(list(only)))
        self._connection.execute(mine.values(state=LetterState.LISTED, at=now))

    def take_for_sent(self, delivery: int, answer: str, now: datetime) -> None:
        """A person says that the letters in doubt have arrived."""
        self._change(delivery, (LetterState.UNKNOWN,), LetterState.SENT, now, answer=answer)

    def _change(
        self, delivery: int, of: Iterable[LetterState], to: LetterState, now: datetime, **more: str
    ) -> None:
        mine = update(letters).where(letters.c.delivery_id == delivery, letters.c.state.in_(list(of)))
        self._connection.execute(mine.values(state=to, at=now, due_at=None, **more))

    # --- reading --------------------------------------------------------------------------------------------

    def counts(self, delivery: int) -> Mapping[LetterState, int]:
        """How many letters stand where."""
        query = select(letters.c.state, func.count()).where(letters.c.delivery_id == delivery)
        return {
            LetterState(row[0]): row[1] for row in self._connection.execute(query.group_by(letters.c.state))
        }

    def unfinished(self, delivery: int) -> Mapping[LetterState, int]:
        """As :meth:`counts`, of letters that are not at their end; does not read the others."""
        query = select(letters.c.state, func.count()).where(letters.c.delivery_id == delivery, UNSETTLED)
        return {
            LetterState(row[0]): row[1] for row in self._connection.execute(query.group_by(letters.c.state))
        }

    def next_due(self, delivery: int) -> datetime | None:
        """When the first letter that was deferred is due again."""
        query = select(func.min(letters.c.due_at)).where(
            letters.c.delivery_id == delivery, _is(LetterState.DEFERRED)
        )
        return self._connection.execute(query).scalar()

    def doubtful(self, delivery: int) -> list[Doubtful]:
        """The letters in doubt, in the order they were listed."""
        query = (
            select(letters.c.id, subscribers.c.address, letters.c.answer, letters.c.at)
            .select_from(letters.outerjoin(subscribers, subscribers.c.id == letters.c.subscriber_id))
            .where(letters.c.delivery_id == delivery, _is(LetterState.UNKNOWN))
            .order_by(letters.c.id)
        )
        return [Doubtful(r.id, r.address or "", r.answer, r.at) for r in self._connection.execute(query)]

    def reach(self, lists: Collection[str]) -> Mapping[str, int]:
        """How many active subscribers of ``lists`` (empty: of all) read ``zh``, ``en`` and ``both``."""
        query = select(subscribers.c.reading, func.count()).where(
            subscribers.c.state == SubscriberState.ACTIVE
        )
        if lists:
            member = select(memberships.c.subscriber_id).where(memberships.c.list.in_(list(lists)))
            query = query.where(subscribers.c.id.in_(member))
        rows = self._connection.execute(query.group_by(subscribers.c.reading))
        return {row[0]: row[1] for row in rows}


def _sqlite_time(value: datetime | None) -> str | None:
    """As :class:`UtcTime` writes it."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if value else None
