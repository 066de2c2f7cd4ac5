"""The delivery state machine, as a table."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.channel import (
    AlreadyThere,
    Outcome,
    OutcomeUnknown,
    Receipt,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
    Unsupported,
)
from publisher.delivery import (
    DELIVERED,
    IN_DOUBT,
    MOVES,
    UNSENT,
    Action,
    Delivery,
    Patience,
    State,
    after_error,
    after_failed_probe,
    after_probe,
    after_receipt,
)

NOW = datetime(2026, 10, 12, 1, 0, tzinfo=UTC)
RECEIPT = Receipt(Outcome.CONFIRMED, "17")
SENDING = Delivery(
    id=1,
    key="2026-0042-r1-website-both",
    announcement="2026-0042",
    revision=1,
    channel="website",
    scope="both",
    canonical=True,
    action=Action.PUBLISH,
    state=State.SENDING,
    due_at=NOW,
    not_after=None,
    attempt=1,
    probes=0,
    fence=1,
    tried_since=NOW,
    receipt=None,
    reason="",
)


def _after(error: BaseException, delivery: Delivery = SENDING, *, can_find: bool = True):
    return after_error(error, delivery, NOW, can_find=can_find, patience=Patience(), rng=random.Random(7))


@pytest.mark.parametrize(
    ("error", "to"),
    [
        (Rejected("no"), State.FAILED),
        (Unsupported("no"), State.FAILED),
        (Throttled("slow", timedelta(minutes=3)), State.WAITING),
        (Unavailable("down"), State.WAITING),
        (SignInFailed("token"), State.WAITING),
        (OutcomeUnknown("cut"), State.UNCERTAIN),
        (AlreadyThere(RECEIPT), State.CONFIRMED),
        (ValueError("a slip in an adapter"), State.UNCERTAIN),
        (TimeoutError(), State.UNCERTAIN),
    ],
)
def test_after_error__state(error: BaseException, to: State) -> None:
    """Each error leads to the state its name promises; what fits nowhere is uncertain, never retried."""
    move = _after(error)
    assert move.to is to
    assert move.to in MOVES[State.SENDING]


def test_after_error__retry_after_is_obeyed() -> None:
    """A service that says how long is waited for exactly so long."""
    assert _after(Throttled("slow", timedelta(minutes=3))).due_at == NOW + timedelta(minutes=3)


def test_after_error__a_wait_is_never_backwards() -> None:
    """A service that asks to wait for less than nothing is tried again later, and not at once and for ever."""
    for wait in (timedelta(seconds=-5), timedelta(days=-400), timedelta()):
        move = _after(Throttled("slow", wait))
        assert move.due_at is not None and move.due_at > NOW


def test_after_error__uncertain_is_asked_at_once() -> None:
    """Where the channel can be asked it is asked now; where not, nothing is due and a person is needed."""
    assert _after(OutcomeUnknown("cut")).due_at == NOW
    assert _after(OutcomeUnknown("cut"), can_find=False).due_at is None


def test_after_error__ends_by_count_and_by_time() -> None:
    """Retries end after so many attempts, and after so long, whichever comes first."""
    patience = Patience()
    assert _after(Unavailable("down"), replace(SENDING, attempt=patience.attempts)).to is State.FAILED
    long_ago = replace(SENDING, tried_since=NOW - patience.total)
    assert _after(Unavailable("down"), long_ago).to is State.FAILED


@given(st.integers(1, 60), st.integers())
def test_patience__delay(attempt: int, seed: int) -> None:
    """The wait doubles up to its longest, and chance takes off at most a half."""
    patience = Patience()
    delay = patience.delay(attempt, random.Random(seed))
    full = min(patience.first * 2 ** min(attempt - 1, 20), patience.longest)
    assert full / 2 <= delay <= full


def test_after_probe__not_there_is_believed_the_second_time() -> None:
    """The first "not there" only sets another look after the service has settled; the second one is believed."""
    uncertain = replace(SENDING, state=State.UNCERTAIN)
    first = after_probe(None, uncertain, NOW, timedelta(minutes=2))
    assert (first.to, first.due_at, first.probes) == (State.UNCERTAIN, NOW + timedelta(minutes=2), 1)
    second = after_probe(None, replace(uncertain, probes=1), NOW, timedelta(minutes=2))
    assert (second.to, second.due_at) == (State.WAITING, NOW)


def test_after_probe__found() -> None:
    """A post that is there is delivered."""
    assert (
        after_probe(RECEIPT, replace(SENDING, state=State.UNCERTAIN), NOW, timedelta(0)).to is State.CONFIRMED
    )


def test_after_failed_probe__asked_again() -> None:
    """A channel that cannot be asked now leaves the delivery uncertain, to be asked again."""
    uncertain = replace(SENDING, state=State.UNCERTAIN, reason="cut")
    move = after_failed_probe(Unavailable("down"), uncertain, NOW, patience=Patience(), rng=random.Random(7))
    assert move.to is State.UNCERTAIN
    assert move.due_at is not None and move.due_at > NOW


def test_after_failed_probe__a_wait_is_never_backwards() -> None:
    """Asking, too, is put off where the service asks to wait for less than nothing."""
    uncertain = replace(SENDING, state=State.UNCERTAIN, reason="cut")
    error = Throttled("slow", timedelta(seconds=-5))
    move = after_failed_probe(error, uncertain, NOW, patience=Patience(), rng=random.Random(7))
    assert move.due_at is not None and move.due_at > NOW


def test_after_receipt__accepted_is_not_confirmed() -> None:
    """What a service only accepted is kept apart from what is confirmed."""
    assert after_receipt(Receipt(Outcome.ACCEPTED, "17")).to is State.ACCEPTED
    assert after_receipt(RECEIPT).to is State.CONFIRMED


def test_moves__whole() -> None:
    """Every state is in the table; a delivered one never becomes sendable, one in doubt never blindly."""
    assert set(MOVES) == set(State)
    for state in DELIVERED:
        assert MOVES[state] <= DELIVERED
    assert State.SENDING not in MOVES[State.UNCERTAIN]
    assert DELIVERED | IN_DOUBT | UNSENT | {State.SUPERSEDED} == set(State)
    assert not DELIVERED & IN_DOUBT and not DELIVERED & UNSENT and not IN_DOUBT & UNSENT


def test_receipt__refuses_nonsense() -> None:
    """A receipt without an id, or with a naive time, is refused when it is made."""
    with pytest.raises(ValueError, match="id"):
        Receipt(Outcome.ACCEPTED, "")
    with pytest.raises(ValueError, match="zone"):
        Receipt(Outcome.ACCEPTED, "1", at=datetime(2026, 1, 1))
