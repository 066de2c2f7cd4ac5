"""The administrators' verbs: what concerns channels and the machine, not one announcement."""

from __future__ import annotations

from collections.abc import Mapping

from publisher import clock
from publisher.announcement import Person
from publisher.errors import UsageError
from publisher.registry import AnyAdapter
from publisher.store import Store, Transaction
from publisher.store.channels import Halt, Health
from publisher.store.log import OFFICE, Event
from publisher.words import Outlook


class Control:
    """Halting and resuming, over one store and one set of configured channels. The office's log says who did it."""

    def __init__(
        self, store: Store, channels: Mapping[str, AnyAdapter], now: clock.Clock = clock.now
    ) -> None:
        self.store, self.channels, self._now = store, channels, now

    def halt(self, person: Person) -> bool:
        """Stops everything at once, whatever is due; whether it was running until now."""
        now = self._now()
        with self.store.write() as tx:
            changed = tx.channels.halt(person, now)
            if changed:
                tx.log.add(now, OFFICE, "office.halted", person)
        return changed

    def unhalt(self, person: Person) -> bool:
        """Lets everything go on; whether it was halted."""
        with self.store.write() as tx:
            changed = tx.channels.unhalt()
            if changed:
                tx.log.add(self._now(), OFFICE, "office.unhalted", person)
        return changed

    def halted(self) -> Halt | None:
        """The halt that is on, if there is one."""
        with self.store.read() as tx:
            return tx.channels.halted()

    def health(self) -> Mapping[str, Health]:
        """The standing of each channel."""
        with self.store.read() as tx:
            return self._health(tx)

    def _health(self, tx: Transaction) -> Mapping[str, Health]:
        known = tx.channels.all()
        return {name: known.get(name, Health(name)) for name in self.channels}

    def resume(self, channel: str, person: Person) -> bool:
        """Lets a paused channel go on at once; whether it was paused."""
        if channel not in self.channels:
            raise UsageError(f'There is no channel "{channel}"; configured are {", ".join(self.channels)}.')
        with self.store.write() as tx:
            changed = tx.channels.resume(channel)
            if changed:
                tx.log.add(self._now(), OFFICE, "channel.resumed", person, channel=channel)
        return changed

    def log(self) -> list[Event]:
        """What happened to the office as a whole, oldest first: halts and pauses, and who ended them."""
        with self.store.read() as tx:
            return tx.log.of(OFFICE)

    def outlook(self, zone: str) -> Outlook:
        """What decides at this moment whether anything goes out; times in it are told in ``zone``."""
        now = self._now()
        with self.store.read() as tx:
            due = tx.deliveries.next_due()
            return Outlook(
                now,
                zone,
                halt=tx.channels.halted(),
                health=self._health(tx),
                pace={name: channel.settings.per_minute for name, channel in self.channels.items()},
                kinds={name: channel.kind for name, channel in self.channels.items()},
                seen_at=max(tx.workers.all().values(), default=None),
                stranded=due is not None and due <= now and not tx.workers.is_any_at_work(now),
            )
