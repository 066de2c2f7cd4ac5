"""The ledger of deliveries: planned, claimed, and moved under a condition on what they leave."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, insert, or_, select, update

from publisher.announcement import AnnouncementState, Person
from publisher.channel import Variant
from publisher.delivery import DELIVERED, MOVES, Action, Delivery, Move, State
from publisher.errors import NotFoundError
from publisher.store import receipts
from publisher.store.log import MACHINE, Log
from publisher.store.schema import OPEN, UtcTime, announcements, deliveries, mailings

# The statements of the hot path are built once: building one costs more than the database needs to run it.
_MOVE = update(deliveries).where(
    deliveries.c.id == bindparam("of_id"),
    deliveries.c.state == bindparam("of_state"),
    deliveries.c.fence == bindparam("of_fence"),
)
"""Every transition: a change under the condition that nobody was faster."""
_NOW = bindparam("now", type_=UtcTime)
_FREE = or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < _NOW)
# No join: a planner that has not counted yet would read everything that is due before it takes the first ten.
_STANDS = select(announcements.c.state).where(announcements.c.key == deliveries.c.announcement)
_DUE: Select[Any] = (
    select(deliveries, _STANDS.scalar_subquery().label("announcement_state"))
    .where(OPEN, deliveries.c.due_at <= _NOW, _FREE)
    .where(deliveries.c.channel.not_in(bindparam("full", expanding=True)))
    .order_by(deliveries.c.due_at, deliveries.c.id)
    .limit(bindparam("most"))
    .with_for_update(of=deliveries, skip_locked=True)
)
"""What may be claimed, the most overdue first, with the state of its announcement."""
_OF_MANY = (
    select(deliveries)
    .where(deliveries.c.announcement.in_(bindparam("keys", expanding=True)))
    .order_by(deliveries.c.revision, deliveries.c.canonical.desc(), deliveries.c.id)
)
_HELD = (
    deliveries.c.id == bindparam("of_id"),
    deliveries.c.fence == bindparam("of_fence"),
    deliveries.c.state == bindparam("of_state"),
    deliveries.c.lease_until.is_not(None),
)
_LEASE = select(deliveries.c.lease_until).where(*_HELD)
_RENEW = update(deliveries).where(*_HELD, deliveries.c.lease_until == bindparam("was", type_=UtcTime))


def _taking(leaving: State, **values: Any) -> Any:
    """Marks deliveries in the state ``leaving`` as held; those that still were to be had come back."""
    return (
        update(deliveries)
        .where(deliveries.c.id.in_(bindparam("ids", expanding=True)), deliveries.c.state == leaving, _FREE)
        .values(
            fence=deliveries.c.fence + 1,
            tried_since=func.coalesce(deliveries.c.tried_since, _NOW),
            owner=bindparam("holder"),
            lease_until=bindparam("until", type_=UtcTime),
            **values,
        )
        .returning(deliveries.c.id)
    )


_TAKE = {
    State.WAITING: _taking(State.WAITING, state=State.SENDING, attempt=deliveries.c.attempt + 1),
    State.UNCERTAIN: _taking(State.UNCERTAIN),
    State.ACCEPTED: _taking(State.ACCEPTED),
}
"""How a delivery is claimed: a waiting one to send it, an uncertain or accepted one only to ask about it."""


class FencedError(Exception):
    """A delivery is not under the claim any more on which a move was decided."""


class Deliveries:
    """Reads and moves deliveries. Every move also appends to the log, in the same transaction."""

    def __init__(self, connection: Connection, log: Log) -> None:
        self._connection = connection
        self._log = log

    # --- planning -----------------------------------------------------------------------------------------

    def plan(
        self,
        variant: Variant,
        variant_id: int,
        key: str,
        *,
        canonical: bool,
        due_at: datetime | None,
        not_after: datetime | None,
        action: Action = Action.PUBLISH,
    ) -> None:
        """Adds a delivery, waiting; ``due_at`` is ``None`` while it waits for the canonical link."""
        self._connection.execute(
            insert(deliveries).values(
                key=key,
                announcement=variant.key,
                revision=variant.revision,
                variant_id=variant_id,
                channel=variant.channel,
                scope=variant.scope,
                canonical=canonical,
                action=action,
                state=State.WAITING,
                due_at=due_at,
                not_after=not_after,
            )
        )

    def reschedule(
        self,
        delivery: Delivery,
        due_at: datetime | None,
        not_after: datetime | None,
        at: datetime,
        actor: Person,
    ) -> bool:
        """A person sets (another) hour; the count of attempts starts anew, the key stays."""
        move = Move(State.WAITING, "delivery.scheduled", due_at=due_at)
        return self._move(delivery, move, at, actor, not_after=not_after, attempt=0, tried_since=None)

    def planned(self, after: datetime, until: datetime) -> list[Delivery]:
        """What waits for an hour ``after`` the one and at ``until`` the latest, and has not been tried."""
        query = select(deliveries).where(OPEN, deliveries.c.state == State.WAITING, deliveries.c.attempt == 0)
        query = query.where(deliveries.c.due_at > after, deliveries.c.due_at <= until)
        rows = self._connection.execute(query.order_by(deliveries.c.due_at, deliveries.c.id))
        return [from_row(row) for row in rows]

    # --- claiming -----------------------------------------------------------------------------------------

    def claim(
        self, owner: str, now: datetime, lease: timedelta, limit: int, room: Mapping[str, int] | None = None
    ) -> list[Delivery]:
        """Takes up to ``limit`` due deliveries, the most overdue first, and no more of a channel than its ``room``.

        A waiting one becomes *sending*: the intention is committed before the first byte leaves. An uncertain or an
        accepted one stays so and is only asked about. One conditional update, the same on both databases.
        """
        left = dict(room or {})
        full = [name for name, count in left.items() if count <= 0]
        rows = self._connection.execute(_DUE, {"now": now, "full": full, "most": limit}).all()
        chosen: dict[State, list[Delivery]] = {state: [] for state in _TAKE}
        for row in rows:
            delivery = from_row(row)
            refusal = _overtaken(delivery, row.announcement_state, now)
            if refusal and not self._is_half_sent(delivery):
                self._move(delivery, refusal, now, MACHINE)
            elif left.get(delivery.channel, limit) > 0:
                left[delivery.channel] = left.get(delivery.channel, limit) - 1
                chosen[delivery.state].append(delivery)
        return [one for state, mine in chosen.items() for one in self._take(mine, state, owner, now, lease)]

    def _is_half_sent(self, delivery: Delivery) -> bool:
        """Whether some readers may have it already: then what ends it is told with how many have."""
        query = select(mailings.c.delivery_id).where(mailings.c.delivery_id == delivery.id)
        return self._connection.execute(query).first() is not None

    def _take(
        self, chosen: list[Delivery], state: State, owner: str, now: datetime, lease: timedelta
    ) -> list[Delivery]:
        """Marks ``chosen``, all in ``state``, as held by ``owner``; those that still were to be had."""
        if not chosen:
            return []
        sends = state is State.WAITING
        given = {"ids": [d.id for d in chosen], "now": now, "holder": owner, "until": now + lease}
        taken = set(self._connection.scalars(_TAKE[state], given))
        held = [_held(d, now, sends=sends) for d in chosen if d.id in taken]
        self._log.add_for(held, now, "attempt.started" if sends else "probe.started", owner=owner)
        return held

    def extend(self, running: Sequence[int], owner: str, now: datetime, lease: timedelta) -> None:
        """The heartbeat: what ``owner`` holds and is ``running`` is held for another ``lease``.

        What it holds and does not run, because a claim was committed whose answer it never got, is left to expire.
        """
        mine = update(deliveries).where(deliveries.c.id.in_(running), deliveries.c.owner == owner)
        self._connection.execute(
            mine.where(deliveries.c.lease_until.is_not(None)).values(lease_until=now + lease)
        )

    def is_held(self, delivery: Delivery, now: datetime) -> bool:
        """Whether a worker is busy with ``delivery`` at this moment."""
        query = select(deliveries.c.lease_until).where(deliveries.c.id == delivery.id)
        until = self._connection.execute(query).scalar_one()
        return until is not None and until > now

    def keep(self, delivery: Delivery, now: datetime, lease: timedelta) -> bool:
        """Whether ``delivery`` is still held under its claim, with time left; a lease that runs low is renewed."""
        mine = {"of_id": delivery.id, "of_fence": delivery.fence, "of_state": delivery.state}
        until = self._connection.execute(_LEASE, mine).scalar()
        if until is None or until > now + lease / 2:
            return until is not None
        renewed = _RENEW.values(lease_until=now + lease)
        return self._connection.execute(renewed, {**mine, "was": until}).rowcount == 1

    def expire(self, now: datetime, running: Collection[int] = ()) -> list[Delivery]:
        """Deliveries whose worker has died while sending become uncertain, to be looked into at once.

        ``running`` are those that the asking worker is sending itself: it is alive, and knows the answer before
        anybody else could find it out, however long its heartbeat could not be written.
        """
        query = select(deliveries).where(
            deliveries.c.lease_until.is_not(None), deliveries.c.lease_until < now
        )
        query = query.where(deliveries.c.state == State.SENDING).with_for_update(skip_locked=True)
        found = [from_row(row) for row in self._connection.execute(query)]
        lost = [delivery for delivery in found if delivery.id not in running]
        move = Move(State.UNCERTAIN, "delivery.uncertain", "the worker stopped while sending", due_at=now)
        return [delivery for delivery in lost if self._move(delivery, move, now, MACHINE)]

    # --- moving -------------------------------------------------------------------------------------------

    def apply(self, delivery: Delivery, move: Move, now: datetime, actor: Person = MACHINE) -> bool:
        """Applies ``move`` if the delivery is still in the state and under the claim it was decided on.

        Returns whether it was; a late result is logged and changes nothing.
        """
        if self._move(delivery, move, now, actor):
            return True
        self._log.add(
            now,
            delivery.announcement,
            "delivery.late_result",
            actor,
            delivery=delivery.id,
            attempt=delivery.attempt,
            ignored=move.event,
            reason=move.reason,
        )
        return False

    def apply_together(self, decided: Sequence[tuple[Delivery, Move]], now: datetime) -> None:
        """Applies the moves of many deliveries at once, by the worker.

        Raises :class:`FencedError`, and the transaction must then be undone, where one of them is not under its
        claim any more; :meth:`apply` tells which, and logs it.
        """
        changed = self._connection.execute(
            _MOVE, [_written(delivery, move, now) for delivery, move in decided]
        )
        if changed.rowcount != len(decided):
            raise FencedError
        self._log.add_moves(decided, now)

    def _move(self, delivery: Delivery, move: Move, now: datetime, actor: Person, **more: Any) -> bool:
        values = _written(delivery, move, now)
        changed = self._connection.execute(_MOVE.values(**more) if more else _MOVE, values)
        if changed.rowcount != 1:
            return False
        self._log.add_moves([(delivery, move)], now, actor)
        return True

    def release(self, announcement: str, revision: int, now: datetime) -> int:
        """Once every canonical delivery is out, the others become due; returns how many."""
        mine = self.of(announcement, revision)
        if any(d.canonical and (d.state not in DELIVERED or d.unseen) for d in mine):
            return 0
        move = Move(State.WAITING, "delivery.released", due_at=now)
        held = [d for d in mine if d.state is State.WAITING and d.due_at is None]
        return sum(self._move(delivery, move, now, MACHINE) for delivery in held)

    def release_all(self, now: datetime) -> None:
        """Releases whatever waits for a link that is known: a crash between two commits may have left it so."""
        query = select(deliveries.c.announcement, deliveries.c.revision).distinct()
        query = query.where(OPEN, deliveries.c.state == State.WAITING, deliveries.c.due_at.is_(None))
        for row in self._connection.execute(query).all():
            self.release(row.announcement, row.revision, now)

    # --- reading ------------------------------------------------------------------------------------------

    def get(self, id_: int) -> Delivery:
        """The delivery with this id. Raises :class:`NotFoundError`."""
        row = self._connection.execute(select(deliveries).where(deliveries.c.id == id_)).first()
        if row is None:
            raise NotFoundError(
                f'There is no delivery {id_}; "publisher show ID" lists those of an announcement.'
            )
        return from_row(row)

    def find(self, key: str) -> Delivery:
        """The delivery with this key. Raises :class:`NotFoundError`."""
        row = self._connection.execute(select(deliveries).where(deliveries.c.key == key)).first()
        if row is None:
            raise NotFoundError(
                f'There is no delivery {key}; "publisher show ID" lists those of an announcement.'
            )
        return from_row(row)

    def of(self, announcement: str, revision: int | None = None) -> list[Delivery]:
        """The deliveries of an announcement, canonical first."""
        query = select(deliveries).where(deliveries.c.announcement == announcement)
        if revision is not None:
            query = query.where(deliveries.c.revision == revision)
        order = (deliveries.c.revision, deliveries.c.canonical.desc(), deliveries.c.id)
        return [from_row(row) for row in self._connection.execute(query.order_by(*order))]

    def beside(self, held: Iterable[Delivery]) -> Mapping[str, list[Delivery]]:
        """All deliveries of the announcements of ``held``, by announcement, canonical first."""
        found: dict[str, list[Delivery]] = {delivery.announcement: [] for delivery in held}
        for row in self._connection.execute(_OF_MANY, {"keys": list(found)}):
            found[row.announcement].append(from_row(row))
        return found

    def next_due(self) -> datetime | None:
        """The next moment anything is due or a lease may run out; ``None`` while nothing is planned."""
        free = (OPEN, deliveries.c.lease_until.is_(None))
        due = select(func.min(deliveries.c.due_at)).where(*free)
        lease = select(func.min(deliveries.c.lease_until)).where(deliveries.c.lease_until.is_not(None))
        moments = [self._connection.execute(query).scalar() for query in (due, lease)]
        return min((moment for moment in moments if moment is not None), default=None)


def _held(delivery: Delivery, now: datetime, *, sends: bool) -> Delivery:
    """``delivery`` as its claim has made it."""
    return replace(
        delivery,
        state=State.SENDING if sends else delivery.state,
        attempt=delivery.attempt + int(sends),
        fence=delivery.fence + 1,
        tried_since=delivery.tried_since or now,
    )


def _overtaken(delivery: Delivery, announcement: str, now: datetime) -> Move | None:
    """Why a due delivery must not go out any more: its grace has passed, or a person has cancelled it meanwhile."""
    if delivery.state is not State.WAITING:
        return None
    if delivery.not_after is not None and now > delivery.not_after:
        return Move(State.MISSED, "delivery.missed", "its hour passed while nothing could be sent")
    if announcement == AnnouncementState.CANCELLED:  # a retry, or what proved not to be out
        return Move(State.CANCELLED, "delivery.cancelled", "the announcement was cancelled")
    return None


def _written(delivery: Delivery, move: Move, now: datetime) -> dict[str, Any]:
    """What ``move`` writes, and the condition it is written under."""
    if move.to not in MOVES[delivery.state]:
        raise ValueError(f"A delivery cannot go from {delivery.state} to {move.to}.")
    return {
        "of_id": delivery.id,
        "of_state": delivery.state,
        "of_fence": delivery.fence,
        "state": move.to,
        "due_at": move.due_at,
        "reason": move.reason,
        "probes": move.probes,
        "moved_at": now,
        "owner": "",
        "lease_until": None,
        "receipt": receipts.to_json(delivery.receipt if move.receipt is None else move.receipt),
    }


def from_row(row: Row[Any]) -> Delivery:
    """A row of the table as a delivery."""
    return Delivery(
        id=row.id,
        key=row.key,
        announcement=row.announcement,
        revision=row.revision,
        channel=row.channel,
        scope=row.scope,
        canonical=row.canonical,
        action=Action(row.action),
        state=State(row.state),
        due_at=row.due_at,
        not_after=row.not_after,
        attempt=row.attempt,
        probes=row.probes,
        fence=row.fence,
        tried_since=row.tried_since,
        receipt=receipts.from_json(row.receipt),
        reason=row.reason,
        variant=row.variant_id,
    )
