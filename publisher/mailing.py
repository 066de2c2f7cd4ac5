"""A mailing letter by letter: the states of a letter, and what follows from its fate. Pure of SMTP and SQL.

Every letter has one row in the ledger. It is *taken* in a committed transaction before anything of it is sent, and
what became of it is written after it; between the two a journal on this machine's disk knows which ones were begun.
So a crash leaves only those in doubt that were under way, one a connection.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from publisher.channel import Fate, Outcome, Receipt
from publisher.delivery import Delivery, Move, Patience, State


class LetterState(StrEnum):
    """Where a letter stands."""

    LISTED = "listed"
    """To be sent."""
    TAKEN = "taken"
    """A worker has it in hand; the intention was committed before anything of it was sent."""
    DEFERRED = "deferred"
    """Its server has asked for another try later."""
    SENT = "sent"
    REFUSED = "refused"
    """Refused for good, or given up."""
    UNKNOWN = "unknown"
    """It may have been sent, and nobody knows."""
    SKIPPED = "skipped"
    """Not sent, since its subscriber left meanwhile, or the mailing was stopped."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of letter ``number``: the row it leaves."""

    number: int
    state: LetterState
    answer: str = ""
    due_at: datetime | None = None


MOST_IN_DOUBT = 3
"""So often a letter in doubt is sent again by itself, where that is wished for."""
ANSWER_LENGTH = 300
"""So many characters of an answer are kept."""


def settled(
    number: int,
    fate: Fate,
    answer: str,
    attempts: int,
    now: datetime,
    ends: datetime,
    patience: Patience,
    rng: random.Random,
) -> Settled:
    """What follows from the ``fate`` of attempt number ``attempts`` (from 1) of a letter.

    A letter that was deferred is tried again, less and less often, and not after ``ends``.
    """
    answer = answer[:ANSWER_LENGTH]
    match fate:
        case Fate.SENT:
            return Settled(number, LetterState.SENT, answer)
        case Fate.REFUSED:
            return Settled(number, LetterState.REFUSED, answer)
        case Fate.UNKNOWN:
            return Settled(number, LetterState.UNKNOWN, answer)
        case Fate.UNSENT:
            return Settled(number, LetterState.LISTED, answer)
        case Fate.DEFERRED:
            due = now + patience.delay(attempts, rng)
            if due > ends:
                return Settled(number, LetterState.REFUSED, f"given up: {answer}"[:ANSWER_LENGTH])
            return Settled(number, LetterState.DEFERRED, answer, due)


def ends(delivery: Delivery, now: datetime, patience: Patience) -> datetime:
    """Until when letters of a mailing are tried again: as long as any delivery is, and not after its grace."""
    limit = (delivery.tried_since or now) + patience.total
    return min(limit, delivery.not_after) if delivery.not_after else limit


def told(counts: Mapping[LetterState, int]) -> str:
    """How a mailing stands, as part of a sentence: ``9,980 sent, 15 refused``."""
    words = {
        LetterState.SENT: "sent",
        LetterState.REFUSED: "refused",
        LetterState.DEFERRED: "to be tried again",
        LetterState.LISTED: "still to be sent",
        LetterState.TAKEN: "under way",
        LetterState.UNKNOWN: "in doubt",
        LetterState.SKIPPED: "not sent any more",
    }
    return ", ".join(f"{counts[s]:,} {words[s]}" for s in words if counts.get(s)) or "nobody to send it to"


def after_run(
    delivery: Delivery,
    counts: Mapping[LetterState, int],
    next_due: datetime | None,
    now: datetime,
) -> Move:
    """What follows for the delivery when all that could be sent for now was sent.

    ``next_due`` is when the first letter that was deferred is due again.
    """
    if counts.get(LetterState.LISTED) or counts.get(LetterState.TAKEN):
        return goes_on(told(counts), now)
    if counts.get(LetterState.DEFERRED):
        return goes_on(told(counts), max(next_due or now, now))
    if counts.get(LetterState.UNKNOWN):
        return Move(State.UNCERTAIN, "delivery.letters_in_doubt", in_doubt(counts))
    receipt = Receipt(Outcome.ACCEPTED, id=delivery.key, code="250", at=now, raw=told(counts))
    return Move(State.ACCEPTED, "delivery.mailed", told(counts), receipt=receipt)


def goes_on(reason: str, due_at: datetime) -> Move:
    """The mailing is not at its end, and goes on at ``due_at`` with those who have not had it."""
    return Move(State.WAITING, GOES_ON, reason, due_at=due_at)


GOES_ON = "delivery.goes_on"
"""The event of a mailing that stops for now."""
_IN_DOUBT = "nobody knows whether they were sent"


def in_doubt(counts: Mapping[LetterState, int]) -> str:
    """The reason of a delivery that has letters in doubt."""
    return f"of the messages, {told(counts)}; of those in doubt {_IN_DOUBT}"


def has_letters_in_doubt(delivery: Delivery) -> bool:
    """Whether a delivery is uncertain for single letters of it only, the others being settled."""
    return delivery.state is State.UNCERTAIN and delivery.reason.endswith(_IN_DOUBT)
