"""The administrators' verbs: what concerns channels and the machine, not one announcement."""

from __future__ import annotations

from collections.abc import Mapping

from publisher import clock
from publisher.announcement import Person
from publisher.errors import UsageError
from publisher.registry import AnyAdapter
from publisher.store import Store
from publisher.store.channels import Halt, Health


class Control:
    """Halting and resuming, over one store and one set of configured channels."""

    def __init__(
        self, store: Store, channels: Mapping[str, AnyAdapter], now: clock.Clock = clock.now
    ) -> None:
        self.store, self.channels, self._now = store, channels, now

    def halt(self, person: Person) -> bool:
        """Stops everything at once, whatever is due; whether it was running until now."""
        with self.store.write() as tx:
            return tx.channels.halt(person, self._now())

    def unhalt(self) -> bool:
        """Lets everything go on; whether it was halted."""
        with self.store.write() as tx:
            return tx.channels.unhalt()

    def halted(self) -> Halt | None:
        """The halt that is on, if there is one."""
        with self.store.read() as tx:
            return tx.channels.halted()

    def health(self) -> Mapping[str, Health]:
        """The standing of each channel."""
        with self.store.read() as tx:
            known = tx.channels.all()
        return {name: known.get(name, Health(name)) for name in self.channels}

    def resume(self, channel: str) -> bool:
        """Lets a paused channel go on at once; whether it was paused."""
        if channel not in self.channels:
            raise UsageError(f'There is no channel "{channel}"; configured are {", ".join(self.channels)}.')
        with self.store.write() as tx:
            return tx.channels.resume(channel)
