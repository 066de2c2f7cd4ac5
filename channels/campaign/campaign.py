"""A campaign as its service tells of it, in words that are the same for all services."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from publisher.channel import Outcome, Receipt


class State(StrEnum):
    """How far a campaign is."""

    DRAFT = "draft"
    """Nobody has got anything."""
    UNDERWAY = "underway"
    """It is planned for an hour, or being sent."""
    HELD = "held"
    """The service or a person has paused it, perhaps in the middle."""
    STOPPED = "stopped"
    """It was cancelled; some may have got it."""
    SENT = "sent"
    UNKNOWN = "unknown"
    """The service says a word for it that is in none of its documents."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is needed of a campaign. Among ``keys`` is our own where it is ours; ``status`` is the service's word.

    ``sent`` and ``of`` count messages, where the service says so.
    """

    id: str
    keys: tuple[str, ...]
    state: State
    status: str
    sent: int | None = None
    of: int | None = None
    at: datetime | None = None
    raw: str = field(default="", repr=False)

    @property
    def words(self) -> str:
        """The service's word, and how many have got it."""
        if self.sent is None:
            return self.status
        count = str(self.sent) if self.of is None else f"{self.sent} of {self.of}"
        return f"{self.status}, {count} sent"

    @property
    def short(self) -> bool:
        """Whether it ended before everybody had got it, by the service's own count."""
        return self.sent is not None and self.of is not None and self.sent < self.of


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a service has of one delivery: what went out, or may yet, and a draft that an earlier try left."""

    out: Campaign | None = None
    draft: Campaign | None = None


def sorted_out(found: Iterable[Campaign], key: str) -> Shelf:
    """Which of ``found`` is ours. What is out weighs more than any draft beside it; of drafts the first is taken."""
    ours = [campaign for campaign in found if key in campaign.keys]
    return Shelf(
        out=next((one for one in ours if one.state is not State.DRAFT), None),
        draft=next((one for one in ours if one.state is State.DRAFT), None),
    )


def receipt(campaign: Campaign, scrub: Callable[[str], str]) -> Receipt:
    """*Confirmed* once it is sent. A newsletter has no address that others could link to."""
    outcome = Outcome.CONFIRMED if campaign.state is State.SENT else Outcome.ACCEPTED
    return Receipt(outcome, campaign.id, code=scrub(campaign.words), at=campaign.at, raw=scrub(campaign.raw))
