"""The delivery state machine: which moves exist, and what follows from what a channel answered.

Pure of HTTP and SQL. The store applies a :class:`Move` in one transaction, under the condition that the delivery
is still in the state and under the claim it was decided on; nothing else changes a state.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from publisher.channel import (
    AlreadyThere,
    DeliveryError,
    Outcome,
    Receipt,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
    Unsupported,
)


class State(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    """For its hour, for the link of the website, or for another attempt."""
    SENDING = "sending"
    """A worker holds it; the intention was committed before the first byte left."""
    UNCERTAIN = "uncertain"
    """It may be out. It is asked about, or waits for a person; it is never sent again blindly."""
    ACCEPTED = "accepted"
    """The service has taken it over; where it can be looked for, it is, until it is seen."""
    CONFIRMED = "confirmed"
    """The service says that it is published."""
    FAILED = "failed"
    """Refused, or given up; certainly not out."""
    PARKED = "parked"
    """Its channel cannot be used; certainly not out."""
    CANCELLED = "cancelled"
    """Stopped by a person before it went out."""
    MISSED = "missed"
    """Its grace passed while nothing could be sent."""
    SUPERSEDED = "superseded"
    """A newer revision takes its place."""


class Action(StrEnum):
    """What a delivery does on its channel. Updating and retracting act on a post by its id, so both may be repeated."""

    PUBLISH = "publish"
    UPDATE = "update"
    RETRACT = "retract"


MOVES: Mapping[State, frozenset[State]] = {
    # waiting -> waiting: a person sets another hour, or the canonical link has come.
    State.WAITING: frozenset(
        {State.WAITING, State.SENDING, State.CANCELLED, State.MISSED, State.SUPERSEDED, State.PARKED}
    ),
    State.SENDING: frozenset(
        {State.WAITING, State.ACCEPTED, State.CONFIRMED, State.UNCERTAIN, State.FAILED, State.PARKED}
    ),
    # uncertain -> uncertain: asked, and to be asked again.
    State.UNCERTAIN: frozenset({State.UNCERTAIN, State.ACCEPTED, State.CONFIRMED, State.WAITING}),
    # accepted -> accepted: looked for, and to be looked for again.
    State.ACCEPTED: frozenset({State.ACCEPTED, State.CONFIRMED}),
    State.CONFIRMED: frozenset(),
    # Certainly not published: a person may schedule it anew, under the same key, or decide against it.
    State.FAILED: frozenset({State.WAITING, State.CANCELLED, State.SUPERSEDED}),
    State.PARKED: frozenset({State.WAITING, State.CANCELLED, State.MISSED, State.SUPERSEDED}),
    State.CANCELLED: frozenset({State.WAITING, State.SUPERSEDED}),
    State.MISSED: frozenset({State.WAITING, State.CANCELLED, State.SUPERSEDED}),
    State.SUPERSEDED: frozenset(),
}
"""The only table of allowed moves."""

DELIVERED = frozenset({State.ACCEPTED, State.CONFIRMED})
"""The post is out."""
IN_DOUBT = frozenset({State.SENDING, State.UNCERTAIN})
"""The post may be out."""
UNSENT = frozenset({State.WAITING, State.FAILED, State.PARKED, State.CANCELLED, State.MISSED})
"""Certainly not out; a person may schedule it again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the ledger. ``fence`` counts claims: a result is written only by the holder of the newest one."""

    id: int
    key: str
    announcement: str
    revision: int
    channel: str
    scope: str
    canonical: bool
    action: Action
    state: State
    due_at: datetime | None
    not_after: datetime | None
    attempt: int
    probes: int
    fence: int
    tried_since: datetime | None
    receipt: Receipt | None
    reason: str
    variant: int = 0
    """The store's number of the sealed variant it brings."""

    @property
    def unseen(self) -> bool:
        """Whether its service has taken it over, and it is still looked for: nothing may link to it yet."""
        return self.state is State.ACCEPTED and self.due_at is not None


@dataclass(frozen=True, slots=True)
class Move:
    """A decided transition and what is written with it; ``event`` is its name in the log."""

    to: State
    event: str
    reason: str = ""
    due_at: datetime | None = None
    receipt: Receipt | None = None
    probes: int = 0


@dataclass(frozen=True, slots=True)
class Patience:
    """When to try again: exponential with jitter, bounded in count and in time."""

    first: timedelta = timedelta(seconds=15)
    longest: timedelta = timedelta(hours=1)
    attempts: int = 40
    total: timedelta = timedelta(hours=24)
    sign_in: timedelta = timedelta(minutes=10)
    asked: timedelta = timedelta(hours=6)
    """The longest wait a service is granted at a time, whatever it asks for."""
    look: timedelta = timedelta(minutes=5)
    """The longest wait between two looks for a post that was accepted."""

    def wait(self, error: BaseException, attempt: int, rng: random.Random) -> timedelta:
        """The wait after failed attempt ``attempt``: what the service asked for, within bounds, else :meth:`delay`."""
        if isinstance(error, Throttled) and error.retry_after is not None and error.retry_after > timedelta():
            return min(error.retry_after, self.asked)
        return self.delay(attempt, rng)

    def delay(self, attempt: int, rng: random.Random) -> timedelta:
        """The wait after failed attempt number ``attempt`` (from 1): the full step, less up to a half by chance."""
        step = min(self.first * 2 ** min(attempt - 1, 20), self.longest)
        return timedelta(seconds=step.total_seconds() * (0.5 + rng.random() / 2))


class Standing(StrEnum):
    """What an answer says about the channel itself."""

    WORKS = "works"
    FAILS = "fails"
    REFUSES = "refuses"


def standing(error: BaseException | None) -> Standing | None:
    """What follows from an answer for the channel as a whole; ``None`` for nothing.

    A refused sign-in is the channel's at once; being out of reach, or unclear, only several times in a row.
    """
    match error:
        case None | AlreadyThere() | Rejected():
            return Standing.WORKS
        case SignInFailed():
            return Standing.REFUSES
        case Unsupported() | Throttled():
            return None
        case _:
            return Standing.FAILS


def after_receipt(receipt: Receipt) -> Move:
    """The channel has it."""
    if receipt.outcome is Outcome.CONFIRMED:
        return Move(State.CONFIRMED, "delivery.confirmed", receipt=receipt)
    return Move(State.ACCEPTED, "delivery.accepted", receipt=receipt)


def looked_for(move: Move, now: datetime, patience: Patience, rng: random.Random) -> Move:
    """``move`` of a post that can be looked for: where it was only accepted, it is, from now on."""
    if move.to is not State.ACCEPTED or move.due_at is not None:
        return move
    return replace(move, due_at=now + patience.delay(1, rng))


def after_look(
    found: Receipt, delivery: Delivery, now: datetime, *, patience: Patience, rng: random.Random
) -> Move:
    """What follows when an accepted post was looked for: it is seen, or looked for again, however long it takes."""
    if found.outcome is Outcome.CONFIRMED:
        return Move(State.CONFIRMED, "delivery.confirmed", receipt=found)
    return unseen(delivery, "it cannot be seen yet", now, patience=patience, rng=rng)


def unseen(delivery: Delivery, reason: str, now: datetime, *, patience: Patience, rng: random.Random) -> Move:
    """Accepted and not seen, for ``reason``."""
    wait = min(patience.delay(delivery.probes + 1, rng), patience.look)
    event = "delivery.not_seen_yet"
    return Move(State.ACCEPTED, event, reason, due_at=now + wait, probes=delivery.probes + 1)


def after_error(
    error: BaseException,
    delivery: Delivery,
    now: datetime,
    *,
    can_find: bool,
    patience: Patience,
    rng: random.Random,
) -> Move:
    """What follows when :meth:`Adapter.publish` raised ``error``.

    Anything that is not one of the named errors, a programming slip included, may have come after the post was
    made, and is therefore uncertain.
    """
    reason = str(error) or type(error).__name__
    match error:
        case AlreadyThere():
            return after_receipt(error.receipt)
        case Rejected() | Unsupported():
            return Move(State.FAILED, "delivery.rejected", reason)
        case Throttled() | Unavailable():
            return _retry(delivery, now, patience.wait(error, delivery.attempt, rng), reason, patience)
        case SignInFailed():
            # The channel's fault, not the post's: it waits as long as its grace allows, however often that is.
            return Move(State.WAITING, "delivery.retried", reason, due_at=now + patience.sign_in)
        case _:
            if not isinstance(error, DeliveryError):
                reason = f"unexpected {type(error).__name__}"
            if delivery.action is not Action.PUBLISH:
                # Acting on a post by its id may be repeated: the second time changes nothing.
                return _retry(delivery, now, patience.delay(delivery.attempt, rng), reason, patience)
            return uncertain(reason, now, can_find=can_find)


def uncertain(reason: str, now: datetime, *, can_find: bool) -> Move:
    """Nobody knows: asked at once where the channel can be asked, else left to a person."""
    return Move(State.UNCERTAIN, "delivery.uncertain", reason, due_at=now if can_find else None)


def unready(delivery: Delivery, reason: str) -> Move:
    """The channel cannot be used: a post that may be out stays uncertain, for a person; any other is parked."""
    if delivery.state is State.UNCERTAIN:
        why = reason if reason in delivery.reason else f"{delivery.reason}; {reason}"
        return Move(State.UNCERTAIN, "delivery.uncertain", why, probes=delivery.probes)
    return Move(State.PARKED, "delivery.parked", reason)


def after_probe(found: Receipt | None, delivery: Delivery, now: datetime, settles_after: timedelta) -> Move:
    """What follows when the channel was asked. "Not there" is believed the second time, after it has settled."""
    if found is not None:
        return after_receipt(found)
    if delivery.probes == 0:
        return Move(
            State.UNCERTAIN,
            "delivery.not_found_yet",
            delivery.reason,
            due_at=now + settles_after,
            probes=1,
        )
    return Move(State.WAITING, "delivery.not_there", "not published; trying again", due_at=now)


def repeat(delivery: Delivery, now: datetime) -> Move:
    """An update or a retraction whose worker stopped: done again, since by its id it cannot make a second post."""
    return Move(State.WAITING, "delivery.repeated", delivery.reason, due_at=now)


def after_failed_probe(
    error: BaseException, delivery: Delivery, now: datetime, *, patience: Patience, rng: random.Random
) -> Move:
    """The channel could not be asked this time: asked again later, for as long as it takes."""
    wait = patience.wait(error, max(delivery.probes, 1) + 2, rng)
    reason = f"{delivery.reason}; asking failed: {str(error) or type(error).__name__}"
    return Move(
        State.UNCERTAIN,
        "delivery.probe_failed",
        reason if "asking failed" not in delivery.reason else delivery.reason,
        due_at=now + wait,
        probes=delivery.probes,
    )


def _retry(delivery: Delivery, now: datetime, wait: timedelta, reason: str, patience: Patience) -> Move:
    since = delivery.tried_since or now
    # By time, an attempt ends it and never a wait: what was asked to wait for long gets its attempt after it.
    if delivery.attempt >= patience.attempts or now >= since + patience.total:
        return Move(State.FAILED, "delivery.failed", f"given up after {delivery.attempt} attempts: {reason}")
    return Move(State.WAITING, "delivery.retried", reason, due_at=now + wait)


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


def outstanding(delivery: Delivery, mine: Iterable[Delivery]) -> Receipt | None:
    """The newest receipt of the same post from an earlier delivery: what an update or a retraction acts on.

    ``mine`` are all deliveries of its announcement.
    """
    earlier = [d for d in mine if d.id < delivery.id]
    found = posts_out(earlier).get((delivery.channel, delivery.scope))
    return found.receipt if found else None
