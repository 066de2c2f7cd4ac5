"""Who a newsletter goes to, and how far it has come: what officers are shown before and after sending."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from publisher.channel import MailingAdapter
from publisher.delivery import Delivery
from publisher.mailing import LetterState
from publisher.registry import AnyAdapter
from publisher.store import Store
from publisher.store.mailings import Doubtful
from publisher.subscriber import Reading


@dataclass(frozen=True, slots=True)
class Reach:
    """How many subscribers ``channel`` would reach at this moment, by what they read."""

    channel: str
    readers: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.readers.values())

    def __str__(self) -> str:
        if not self.total:
            return (
                f"{self.channel} has no subscriber yet; bring some in with: publisher subscribers import FILE"
            )
        words = {Reading.ZH: "in Chinese", Reading.EN: "in English", Reading.BOTH: "in both languages"}
        parts = [f"{self.readers[code]:,} {words[code]}" for code in words if self.readers.get(code)]
        people = "subscriber" if self.total == 1 else "subscribers"
        return f"{self.channel} reaches {self.total:,} {people} at this moment: {', '.join(parts)}."


@dataclass(frozen=True, slots=True)
class Progress:
    """How the letters of a delivery stand, and those of which nobody knows whether they were sent."""

    counts: Mapping[LetterState, int]
    doubtful: Sequence[Doubtful]


def reaches(store: Store, channels: Mapping[str, AnyAdapter], names: Iterable[str]) -> list[Reach]:
    """The reach of those of the channels ``names`` that have subscribers of their own."""
    mailing = {name: channels[name] for name in names if isinstance(channels.get(name), MailingAdapter)}
    with store.read() as tx:
        return [Reach(name, tx.mailings.reach(one.settings.lists)) for name, one in mailing.items()]


def progress(store: Store, delivery: Delivery) -> Progress | None:
    """How far a delivery to subscribers has come; ``None`` for any other, and before it begins."""
    with store.read() as tx:
        counts = tx.mailings.counts(delivery.id)
        return Progress(counts, tx.mailings.doubtful(delivery.id)) if counts else None
