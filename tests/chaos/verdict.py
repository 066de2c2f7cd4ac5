"""The verdict on a round: what the services hold against what the ledger says. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from publisher.delivery import DELIVERED, State
from tests.chaos.services import Held

DUPLICATE, LOST, STUCK, UNLOGGED, DAMAGED = "duplicate", "lost", "stuck", "unlogged", "damaged"
_OUTCOMES = ("delivery.accepted", "delivery.confirmed")


@dataclass(frozen=True, slots=True)
class Told:
    """What the ledger tells of a delivery: its state, and the names of its events in the log, in order."""

    key: str
    announcement: str
    channel: str
    state: State
    log: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was not kept: ``kind`` is one of those above."""

    kind: str
    sentence: str


def judge(ledger: Iterable[Told], held: Held, askable: Collection[str]) -> list[Violation]:
    """Everything that is wrong; ``askable`` are the channels that can be asked whether they have a post.

    Once: no delivery has two posts. Not lost: each is out exactly once and said to be; on a channel that cannot be
    asked it may instead be shown as uncertain, with at most one post. Nothing is left half-way. Every post has an
    attempt that was logged before its outcome.
    """
    found = [Violation(DAMAGED, sentence) for sentence in held.damage]
    for told in ledger:
        posts = held.posts.get((told.announcement, told.channel), 0)
        found += _counted(told, posts, askable=told.channel in askable) + _logged(told, posts)
    return found


def _counted(told: Told, posts: int, *, askable: bool) -> list[Violation]:
    what = f"{told.key} is {told.state} and {posts} of it can be seen"
    if posts > 1:
        return [Violation(DUPLICATE, what)]
    if told.state in DELIVERED:
        return [] if posts else [Violation(LOST, what)]
    if told.state is State.UNCERTAIN and not askable:
        return []
    return [Violation(STUCK if posts or told.state is State.SENDING else LOST, what)]


def _logged(told: Told, posts: int) -> list[Violation]:
    started = [at for at, name in enumerate(told.log) if name == "attempt.started"]
    ended = [at for at, name in enumerate(told.log) if name in _OUTCOMES]
    unannounced = posts > len(started) or (ended and (not started or ended[0] < started[0]))
    if unannounced or len(ended) > 1:
        return [Violation(UNLOGGED, f"{told.key}: {posts} posts, and its log is {', '.join(told.log)}")]
    return []
