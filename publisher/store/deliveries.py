"""The ledger of deliveries: planned, claimed, and moved under a condition on what they leave."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from publisher.announcement import Person
from publisher.channel import Links, Outcome, Receipt, Variant
from publisher.delivery import DELIVERED, MOVES, Delivery, Move, State
from publisher.errors import NotFoundError
from publisher.store.log import MACHINE, Log
from publisher.store.schema import deliveries

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
        not_after: datetime,
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
                state=State.WAITING,
                due_at=due_at,
                not_after=not_after,
            )
        )

    def reschedule(
        self, delivery: Delivery, due_at: datetime | None, not_after: datetime, at: datetime, actor: Person
    ) -> bool:
        """A person sets (another) hour; the count of attempts starts anew, the key stays."""
        move = Move(State.WAITING, "delivery.scheduled", due_at=due_at)
        return self._move(delivery, move, at, actor, not_after=not_after, attempt=0, tried_since=None)

    # --- claiming -----------------------------------------------------------------------------------------

    def claim(self, owner: str, now: datetime, lease: timedelta, limit: int) -> list[Delivery]:
        """Takes up to ``limit`` due deliveries, the most overdue first.

        A waiting one becomes *sending*: the intention is committed before the first byte leaves. An uncertain one
        stays uncertain and is only asked about. One conditional update, the same on both databases.
        """
        due = (
            select(deliveries.c.id)
            .where(deliveries.c.state.in_(_CLAIMABLE), deliveries.c.due_at <= now)
            .where(or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < now))
            .order_by(deliveries.c.due_at, deliveries.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        claimed = [self._claim_one(i, owner, now, lease) for i in self._connection.scalars(due).all()]
        return [delivery for delivery in claimed if delivery is not None]

    def _claim_one(self, id_: int, owner: str, now: datetime, lease: timedelta) -> Delivery | None:
        before = self.get(id_)
        if before.not_after is not None and now > before.not_after and before.state is State.WAITING:
            reason = "its hour passed while nothing could be sent"
            self._move(before, Move(State.MISSED, "delivery.missed", reason), now, MACHINE)
            return None
        sends = before.state is State.WAITING
        after = replace(
            before,
            state=State.SENDING if sends else before.state,
            attempt=before.attempt + sends,
            fence=before.fence + 1,
            tried_since=before.tried_since or now,
        )
        taken = self._connection.execute(
            update(deliveries)
            .where(deliveries.c.id == id_, deliveries.c.state == before.state)
            .where(deliveries.c.fence == before.fence)
            .values(
                state=after.state,
                attempt=after.attempt,
                fence=after.fence,
                tried_since=after.tried_since,
                owner=owner,
                lease_until=now + lease,
            )
        )
        if taken.rowcount != 1:
            return None
        name = "attempt.started" if sends else "probe.started"
        self._log.add(now, before.announcement, name, delivery=id_, attempt=after.attempt, owner=owner)
        return after

    def extend(self, owner: str, now: datetime, lease: timedelta) -> None:
        """The heartbeat: everything ``owner`` holds is held for another ``lease``."""
        self._connection.execute(
            update(deliveries)
            .where(deliveries.c.owner == owner, deliveries.c.lease_until.is_not(None))
            .values(lease_until=now + lease)
        )

    def expire(self, now: datetime) -> list[Delivery]:
        """Deliveries whose worker has died while sending become uncertain, to be looked into at once."""
        query = select(deliveries).where(deliveries.c.state == State.SENDING, deliveries.c.lease_until < now)
        lost = [_delivery(row) for row in self._connection.execute(query.with_for_update(skip_locked=True))]
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
        changed = self._connection.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery.id, deliveries.c.state == delivery.state)
            .where(deliveries.c.fence == delivery.fence)
            .values(
                state=move.to,
                due_at=move.due_at,
                reason=move.reason,
                probes=move.probes,
                owner="",
                lease_until=None,
                **({"receipt": _receipt_json(move.receipt)} if move.receipt else {}),
                **more,
            )
        )
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
        query = query.where(deliveries.c.state == State.WAITING, deliveries.c.due_at.is_(None))
        return [(row.announcement, row.revision) for row in self._connection.execute(query)]

    # --- reading ------------------------------------------------------------------------------------------

    def get(self, id_: int) -> Delivery:
        """The delivery with this id. Raises :class:`NotFoundError`."""
        row = self._connection.execute(select(deliveries).where(deliveries.c.id == id_)).first()
        if row is None:
            raise NotFoundError(
                f'There is no delivery {id_}; "publisher show ID" lists those of an announcement.'
            )
        return _delivery(row)

    def find(self, key: str) -> Delivery:
        """The delivery with this key. Raises :class:`NotFoundError`."""
        row = self._connection.execute(select(deliveries).where(deliveries.c.key == key)).first()
        if row is None:
            raise NotFoundError(
                f'There is no delivery {key}; "publisher show ID" lists those of an announcement.'
            )
        return _delivery(row)

    def of(self, announcement: str, revision: int | None = None) -> list[Delivery]:
        """The deliveries of an announcement, canonical first."""
        query = select(deliveries).where(deliveries.c.announcement == announcement)
        if revision is not None:
            query = query.where(deliveries.c.revision == revision)
        order = (deliveries.c.revision, deliveries.c.canonical.desc(), deliveries.c.id)
        return [_delivery(row) for row in self._connection.execute(query.order_by(*order))]

    def variant_id(self, delivery: Delivery) -> int:
        """The id of the sealed variant a delivery brings."""
        query = select(deliveries.c.variant_id).where(deliveries.c.id == delivery.id)
        return int(self._connection.execute(query).scalar_one())

    def next_due(self) -> datetime | None:
        """The next moment anything is due or a lease may run out; ``None`` while nothing is planned."""
        free = (deliveries.c.state.in_(_CLAIMABLE), deliveries.c.lease_until.is_(None))
        due = select(func.min(deliveries.c.due_at)).where(*free)
        lease = select(func.min(deliveries.c.lease_until)).where(deliveries.c.lease_until.is_not(None))
        moments = [self._connection.execute(query).scalar() for query in (due, lease)]
        return min((moment for moment in moments if moment is not None), default=None)


def _receipt_json(receipt: Receipt) -> str:
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


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        key=row.key,
        announcement=row.announcement,
        revision=row.revision,
        channel=row.channel,
        scope=row.scope,
        canonical=row.canonical,
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
