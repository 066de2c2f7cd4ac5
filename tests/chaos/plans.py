"""Which rounds are run: every point once, then as many random ones as are asked for, all from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.chaos.points import COMMITTING, KILL, PAUSE, Strike
from tests.chaos.relay import MAIL_FAULTS
from tests.chaos.rounds import PAST_KEYS, PAST_LEASE, Plan
from tests.chaos.services import HTTP_FAULTS

_LIFETIME = 0.9
"""Seconds in which a worker has done all there is to do here, and idles."""


def plans(points: list[str], seed: int, rounds: int) -> Iterator[Plan]:
    """``rounds`` plans: first each of the recorded ``points``, then what ``seed`` says; number ``n`` is the same always."""
    yield from (Plan(_strike(point)) for point in points[:rounds])
    for number in range(len(points), rounds):
        yield drawn(points, random.Random(f"{seed} {number}"))


def distinct(points: list[str]) -> list[str]:
    """The first occurrence of every name, without the syncing of files, which changes nothing that can be seen."""
    return [point for point in points if point.endswith("#1") and "sync." not in point]


def drawn(points: list[str], chance: random.Random) -> Plan:
    """A random round: where or when, how often, under which faults of the services, how long until the next worker."""
    timed = chance.random() < 0.25
    strike = Strike() if timed else _strike(chance.choice(points))
    if not timed and chance.random() < 0.15:
        strike = Strike(chance.choice([point for point in points if _may_pause(point)]), PAUSE)
    return Plan(
        strike=strike,
        after=chance.uniform(0.01, _LIFETIME) if timed else 0.0,
        unattended=chance.random() < 0.3,
        later=tuple(_strike(chance.choice(points)) for _ in range(chance.choice((0, 0, 0, 1, 1, 2)))),
        mail=chance.choice(MAIL_FAULTS) if chance.random() < 0.15 else "",
        web=(chance.choice(list(HTTP_FAULTS)), chance.choice(("POST", "GET")))
        if chance.random() < 0.3
        else ("", ""),
        # A worker that is only stopped goes on within the hour: later than that, no service knows its key any more.
        ahead=PAST_KEYS if chance.random() < 0.3 and strike.action != PAUSE else PAST_LEASE,
    )


def _strike(point: str) -> Strike:
    return Strike(point, COMMITTING if point.startswith("commit.inside") else KILL)


def _may_pause(point: str) -> bool:
    """Only where it holds no lock, neither the database's nor the website's: those who follow would rightly wait."""
    return point.startswith(("http ", "smtp "))
