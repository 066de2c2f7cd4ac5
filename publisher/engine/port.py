"""What an engine is: whatever runs due deliveries, in this process or on a job queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Health:
    """Whether an engine does its work: when it last ``looked`` for what is due, how many deliveries are ``running``."""

    looked: datetime | None
    running: int


class Engine(Protocol):
    """Runs due deliveries. The store alone knows what is due, so an engine may forget everything at any moment.

    Every engine may run a delivery twice; that it is sent once is the ledger's work, under its claims. What a
    delivery needs done is :class:`publisher.engine.deliverer.Deliverer`, for every engine alike.
    """

    on_end: Callable[[], None]
    """Called when a delivery has ended: there is room again, and others may have become due by it."""

    async def enqueue_due(self) -> int:
        """Starts what is due, as far as there is room; how many deliveries were started."""

    async def next_due(self) -> datetime | None:
        """The next moment anything is due; ``None`` while nothing is planned."""

    async def drain(self) -> None:
        """Waits until all that was started has ended."""

    async def stop(self) -> None:
        """Lets what is under way end, and gives everything back. Nothing new is started."""

    def health(self) -> Health:
        """How it does."""
