"""The ledger of deliveries: planned, claimed, and moved under a condition on what they leave."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, literal, or_, select, update

from publisher.announcement import AnnouncementState, Person
from publisher.channel import Links, Outcome, Receipt, Variant
from publisher.delivery import DELIVERED, MOVES, Action, Delivery, Move, State
from publisher.errors import NotFoundError
from publisher.store.log import MACHINE, Log
from publisher.store.schema import OPEN, UtcTime, announcements, deliveries

_MOVE = update(deliveries).where(
    deliveries.c.id == bindparam("of_id"),
    deliveries.c.state == bindparam("of_state"),
    deliveries.c.fence == bindparam("of_fence"),
)
"""Every transition: a change under the condition that nobody was faster. Built once, it is the hot path."""
_CLAIMABLE = (State.WAITING, State.UNCERTAIN)


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

    # --- claiming -----------------------------------------------------------------------------------------

    def claim(
        self, owner: str, now: datetime, lease: timedelta, limit: int, room: Mapping[str, int] | None = None
    ) -> list[Delivery]:
        """Takes up to ``limit`` due deliveries, the most overdue first, and no more of a channel than its ``room``.

        A waiting one becomes *sending*: the intention is committed before the first byte leaves. An uncertain one
        stays uncertain and is only asked about. One conditional update, the same on both databases.
        """
        left = dict(room or {})
        due = (
            select(deliveries)
            .where(OPEN, deliveries.c.due_at <= now)
            .where(or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < now))
            .where(deliveries.c.channel.not_in([name for name, count in left.items() if count <= 0]))
            .order_by(deliveries.c.due_at, deliveries.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        found = [from_row(row) for row in self._connection.execute(due)]
        stopped = self._cancelled(found) if found else set()
        chosen: dict[State, list[Delivery]] = {state: [] for state in _CLAIMABLE}
        for delivery in found:
            if (
                delivery.not_after is not None
                and now > delivery.not_after
                and delivery.state is State.WAITING
            ):
                reason = "its hour passed while nothing could be sent"
                self._move(delivery, Move(State.MISSED, "delivery.missed", reason), now, MACHINE)
            elif delivery.state is State.WAITING and delivery.announcement in stopped:
                move = Move(State.CANCELLED, "delivery.cancelled", "the announcement was cancelled")
                self._move(delivery, move, now, MACHINE)
            elif left.get(delivery.channel, limit) > 0:
                left[delivery.channel] = left.get(delivery.channel, limit) - 1
                chosen[delivery.state].append(delivery)
        return [one for state, mine in chosen.items() for one in self._take(mine, state, owner, now, lease)]

    def _cancelled(self, found: list[Delivery]) -> set[str]:
        """Announcements that were cancelled with something still due: a retry, or what proved not to be out."""
        keys = {delivery.announcement for delivery in found}
        query = select(announcements.c.key).where(announcements.c.key.in_(keys))
        return set(
            self._connection.scalars(query.where(announcements.c.state == AnnouncementState.CANCELLED))
        )

    def _take(
        self, chosen: list[Delivery], state: State, owner: str, now: datetime, lease: timedelta
    ) -> list[Delivery]:
        """Marks ``chosen``, all in ``state``, as held by ``owner``; those that still were to be had."""
        if not chosen:
            return []
        sends = state is State.WAITING
        taken = set(
            self._connection.scalars(
                update(deliveries)
                .where(deliveries.c.id.in_([d.id for d in chosen]), deliveries.c.state == state)
                .where(or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < now))
                .values(
                    state=State.SENDING if sends else state,
                    attempt=deliveries.c.attempt + int(sends),
                    fence=deliveries.c.fence + 1,
                    tried_since=func.coalesce(deliveries.c.tried_since, literal(now, UtcTime)),
                    owner=owner,
                    lease_until=now + lease,
                )
                .returning(deliveries.c.id)
            )
        )
        held = [
            replace(
                d,
                state=State.SENDING if sends else state,
                attempt=d.attempt + int(sends),
                fence=d.fence + 1,
                tried_since=d.tried_since or now,
            )
            for d in chosen
            if d.id in taken
        ]
        name = "attempt.started" if sends else "probe.started"
        self._log.add_for(held, now, name, owner=owner)
        return held

    def extend(self, owner: str, now: datetime, lease: timedelta) -> None:
        """The heartbeat: everything ``owner`` holds is held for another ``lease``."""
        self._connection.execute(
            update(deliveries)
            .where(deliveries.c.owner == owner, deliveries.c.lease_until.is_not(None))
            .values(lease_until=now + lease)
        )

    def keep(self, delivery: Delivery, now: datetime, lease: timedelta) -> bool:
        """Whether ``delivery`` is still held under its claim, with time left; a lease that runs low is renewed."""
        mine = (deliveries.c.id == delivery.id, deliveries.c.fence == delivery.fence)
        held = (*mine, deliveries.c.state == delivery.state, deliveries.c.lease_until.is_not(None))
        until = self._connection.execute(select(deliveries.c.lease_until).where(*held)).scalar()
        if until is None or until > now + lease / 2:
            return until is not None
        renewed = update(deliveries).where(*held, deliveries.c.lease_until == until)
        return self._connection.execute(renewed.values(lease_until=now + lease)).rowcount == 1

    def expire(self, now: datetime) -> list[Delivery]:
        """Deliveries whose worker has died while sending become uncertain, to be looked into at once."""
        query = select(deliveries).where(
            deliveries.c.lease_until.is_not(None), deliveries.c.lease_until < now
        )
        query = query.where(deliveries.c.state == State.SENDING)
        lost = [from_row(row) for row in self._connection.execute(query.with_for_update(skip_locked=True))]
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

    def _move(self, delivery: Delivery, move: Move, now: datetime, actor: Person, **more: Any) -> bool:
        if move.to not in MOVES[delivery.state]:
            raise ValueError(f"A delivery cannot go from {delivery.state} to {move.to}.")
        receipt = _receipt_json(delivery.receipt if move.receipt is None else move.receipt)
        values = {
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
            "receipt": receipt,
        }
        changed = self._connection.execute(_MOVE.values(**more) if more else _MOVE, values)
        if changed.rowcount != 1:
            return False
        detail = {"state": str(move.to), "reason": move.reason}
        if move.receipt:
            detail |= {"id": move.receipt.id, "url": move.receipt.links.both if move.receipt.links else ""}
        if move.due_at:
            detail["due_at"] = move.due_at.isoformat()
        self._log.add(
            now,
            delivery.announcement,
            move.event,
            actor,
            delivery=delivery.id,
            attempt=delivery.attempt,
            **detail,
        )
        return True

    def release(self, announcement: str, revision: int, now: datetime) -> int:
        """Once every canonical delivery is out, the others become due; returns how many."""
        mine = self.of(announcement, revision)
        if any(d.canonical and d.state not in DELIVERED for d in mine):
            return 0
        move = Move(State.WAITING, "delivery.released", due_at=now)
        held = [d for d in mine if d.state is State.WAITING and d.due_at is None]
        return sum(self._move(delivery, move, now, MACHINE) for delivery in held)

    def held(self) -> list[tuple[str, int]]:
        """Announcement and revision of all that waits for a canonical link."""
        query = select(deliveries.c.announcement, deliveries.c.revision).distinct()
        query = query.where(OPEN, deliveries.c.state == State.WAITING, deliveries.c.due_at.is_(None))
        return [(row.announcement, row.revision) for row in self._connection.execute(query)]

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

    def outstanding(self, delivery: Delivery) -> Receipt | None:
        """The newest receipt of the same post from an earlier delivery: what an update or a retraction acts on."""
        earlier = [d for d in self.of(delivery.announcement) if d.id < delivery.id]
        found = posts_out(earlier).get((delivery.channel, delivery.scope))
        return found.receipt if found else None

    def variant_id(self, delivery: Delivery) -> int:
        """The id of the sealed variant a delivery brings."""
        query = select(deliveries.c.variant_id).where(deliveries.c.id == delivery.id)
        return int(self._connection.execute(query).scalar_one())

    def next_due(self) -> datetime | None:
        """The next moment anything is due or a lease may run out; ``None`` while nothing is planned."""
        free = (OPEN, deliveries.c.lease_until.is_(None))
        due = select(func.min(deliveries.c.due_at)).where(*free)
        lease = select(func.min(deliveries.c.lease_until)).where(deliveries.c.lease_until.is_not(None))
        moments = [self._connection.execute(query).scalar() for query in (due, lease)]
        return min((moment for moment in moments if moment is not None), default=None)


def posts_out(deliveries: Iterable[Delivery]) -> dict[tuple[str, str], Delivery]:
    """The delivery that stands for each post that is out, by channel and scope; what was retracted is not."""
    found: dict[tuple[str, str], Delivery] = {}
    for delivery in sorted(deliveries, key=lambda d: d.id):
        if delivery.state in DELIVERED:
            place = (delivery.channel, delivery.scope)
            if delivery.action is Action.RETRACT:
                found.pop(place, None)
            else:
                found[place] = delivery
    return found


def _receipt_json(receipt: Receipt | None) -> str:
    if receipt is None:
        return ""
    raw = asdict(receipt)
    raw["at"] = receipt.at.isoformat() if receipt.at else None
    return json.dumps(raw, ensure_ascii=False, sort_keys=True)


def _receipt(text: str) -> Receipt | None:
    if not text:
        return None
    raw = json.loads(text)
    return Receipt(
        outcome=Outcome(raw["outcome"]),
        id=raw["id"],
        links=Links(**raw["links"]) if raw["links"] else None,
        code=raw["code"],
        at=datetime.fromisoformat(raw["at"]) if raw["at"] else None,
        raw=raw["raw"],
    )


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
        receipt=_receipt(row.receipt),
        reason=row.reason,
    )
