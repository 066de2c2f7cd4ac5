"""When a delivery is tried again: a pure function of error and history, as a table."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from publisher.channel import DeliveryError, OutcomeUnknown, SignInFailed, Throttled, Unavailable
from publisher.delivery import Action, Move, Patience, State, after_error, after_failed_probe
from tests.test_delivery import NOW, SENDING

_P = Patience()
_DOWN, _SLOW, _KEY = Unavailable("down"), Throttled("slow"), SignInFailed("token refused")
_DAY, _HOUR, _MINUTE, _SECOND = (timedelta(**{unit: 1}) for unit in ("days", "hours", "minutes", "seconds"))


def _asked(seconds: float) -> Throttled:
    return Throttled("slow", timedelta(seconds=seconds))


def _move(error: DeliveryError, attempt: int, tried_for: timedelta, action: Action = Action.PUBLISH) -> Move:
    delivery = replace(SENDING, attempt=attempt, tried_since=NOW - tried_for, action=action)
    return after_error(error, delivery, NOW, can_find=True, patience=_P, rng=random.Random(11))


@pytest.mark.parametrize(
    ("error", "attempt", "tried_for", "least", "most"),
    [
        # exponential with jitter: half a step to a whole one
        (_DOWN, 1, 0 * _SECOND, 7.5, 15),
        (_DOWN, 2, 15 * _SECOND, 15, 30),
        (_DOWN, 3, 45 * _SECOND, 30, 60),
        (_DOWN, 5, 4 * _MINUTE, 120, 240),
        (_DOWN, 8, 30 * _MINUTE, 960, 1920),
        (_DOWN, 9, _HOUR, 1800, 3600),
        (_DOWN, 20, 12 * _HOUR, 1800, 3600),
        (_DOWN, 39, 23 * _HOUR, 1800, 3600),
        # what the service asks for is obeyed to the second, and no longer than six hours at a time
        (_SLOW, 1, 0 * _SECOND, 7.5, 15),
        (_asked(1), 9, _HOUR, 1, 1),
        (_asked(180), 1, 0 * _SECOND, 180, 180),
        (_asked(7200), 3, _HOUR, 7200, 7200),
        (_asked(6 * 3600), 1, 0 * _SECOND, 6 * 3600, 6 * 3600),
        (_asked(86_400), 1, 0 * _SECOND, 6 * 3600, 6 * 3600),
        (_asked(10 * 365 * 86_400), 1, 0 * _SECOND, 6 * 3600, 6 * 3600),
        (_asked(7200), 1, 23 * _HOUR, 7200, 7200),
        # nonsense is no wait at all: the own step counts
        (_asked(0), 1, 0 * _SECOND, 7.5, 15),
        (_asked(-60), 1, 0 * _SECOND, 7.5, 15),
        # the channel's fault: slowly, and never given up for it
        (_KEY, 1, 0 * _SECOND, 600, 600),
        (_KEY, 400, 3 * _DAY, 600, 600),
    ],
)
def test_retry__waits(
    error: DeliveryError, attempt: int, tried_for: timedelta, least: float, most: float
) -> None:
    """Each error and history has its wait."""
    move = _move(error, attempt, tried_for)
    assert move.to is State.WAITING
    assert move.due_at is not None
    assert least <= (move.due_at - NOW).total_seconds() <= most


@pytest.mark.parametrize(
    ("error", "attempt", "tried_for"),
    [
        (_DOWN, 40, _HOUR),
        (_SLOW, 40, _HOUR),
        (_asked(60), 40, _HOUR),
        (_DOWN, 3, _DAY),
        (_asked(60), 2, _DAY),
        (_DOWN, 99, 9 * _DAY),
    ],
)
def test_retry__ends(error: DeliveryError, attempt: int, tried_for: timedelta) -> None:
    """It ends by count as well as by time, and says after how many attempts and why."""
    move = _move(error, attempt, tried_for)
    assert (move.to, move.due_at) == (State.FAILED, None)
    assert move.reason == f"given up after {attempt} attempts: {error}"


@pytest.mark.parametrize("action", [Action.UPDATE, Action.RETRACT])
def test_retry__what_acts_by_id_may_be_repeated(action: Action) -> None:
    """An update or a retraction without an answer is done again; a publication never is."""
    assert _move(OutcomeUnknown("cut"), 1, 0 * _SECOND, action).to is State.WAITING
    assert _move(OutcomeUnknown("cut"), 40, 0 * _SECOND, action).to is State.FAILED
    assert _move(OutcomeUnknown("cut"), 1, 0 * _SECOND).to is State.UNCERTAIN


def test_retry__not_all_at_once() -> None:
    """A hundred deliveries that failed at the same moment come back spread over half a step."""
    rng = random.Random(5)
    waits = {_P.wait(_DOWN, 4, rng) for _ in range(100)}
    assert len(waits) > 90
    assert max(waits) - min(waits) > timedelta(seconds=50)


@pytest.mark.parametrize(("error", "seconds"), [(_asked(90), 90), (_asked(86_400), 6 * 3600)])
def test_asking__waits_as_told(error: Throttled, seconds: float) -> None:
    """Asking whether a post is there obeys the service just so, and never gives up."""
    uncertain = replace(SENDING, state=State.UNCERTAIN, probes=1, tried_since=NOW - 30 * _DAY)
    move = after_failed_probe(error, uncertain, NOW, patience=_P, rng=random.Random(11))
    assert (move.to, move.due_at) == (State.UNCERTAIN, NOW + timedelta(seconds=seconds))
