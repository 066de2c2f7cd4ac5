"""The verbs over subscribers: bringing in, confirming, unsubscribing, removing. Every rule of who gets anything.

Nobody is brought back who has left, complained, bounced or was removed: the suppression list outlives the subscriber.
Only she herself lifts it, by confirming again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from publisher import addresses, clock
from publisher.announcement import Person
from publisher.errors import NotAllowedError, NotFoundError, UsageError
from publisher.store import Store, Transaction
from publisher.store.log import MACHINE, OFFICE
from publisher.subscriber import Consent, Reading, Subscriber, SubscriberState, Suppression

_LIST = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_GROUP = 1000
"""So many lines of an import share a transaction."""
SOFT_LIMIT = 5
"""So many newsletters that a mailbox could not take since she confirmed, and it is given up."""
_LONGEST_TEXT = 2000
_LONGEST_DETAIL = 300
_ANY_ADDRESS = r"[^\s<>()\[\],;:'\"=]+@[^\s<>()\[\],;'\"]+"
"""Also one that she is forwarded from or to."""

_WHY = {
    Suppression.UNSUBSCRIBED: "has unsubscribed; only she herself can come back, by the page for subscribing",
    Suppression.BOUNCED: "does not exist, as its mail server has said; correct the address",
    Suppression.COMPLAINED: "has reported a newsletter as spam, and is not written to again",
    Suppression.REMOVED: "was removed on request; only she herself can come back, by the page for subscribing",
}

_WEAKER = {
    (SubscriberState.COMPLAINED, SubscriberState.UNSUBSCRIBED),
    (SubscriberState.COMPLAINED, SubscriberState.BOUNCED),
}
_PENDING = "has been asked by mail to confirm and has not yet; she gets nothing until she does"

_EVENTS = {
    Suppression.UNSUBSCRIBED: "subscriber.unsubscribed",
    Suppression.BOUNCED: "subscriber.bounced",
    Suppression.COMPLAINED: "subscriber.complained",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file: its ``number``, what it says, or why it cannot be read."""

    number: int
    text: str
    subscriber: Subscriber | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was not taken, and why, in a sentence."""

    number: int
    text: str
    why: str


@dataclass
class Imported:
    """What an import did: how many were ``added``, put on more lists (``joined``), or were there already."""

    added: int = 0
    joined: int = 0
    known: int = 0
    refused: list[Refused] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """All lines that were read."""
        return self.added + self.joined + self.known + len(self.refused)


def list_name(text: str) -> str:
    """The name of a list. Raises :class:`UsageError`."""
    name = text.strip().lower()
    if not _LIST.fullmatch(name):
        raise UsageError(f'"{text}" is not the name of a list; use small letters, digits, - and _')
    return name


class Audience:
    """Subscribers of one store. What happens to one is in the office's log under her ``ref``, never her address."""

    def __init__(self, store: Store, now: clock.Clock = clock.now) -> None:
        self.store, self._now = store, now

    # --- by officers --------------------------------------------------------------------------------------------

    def add(self, subscriber: Subscriber, person: Person) -> bool:
        """Adds one who has consented, or puts her on more lists; whether anything changed.

        Raises :class:`NotAllowedError` for an address that must not be written to.
        """
        done, now = Imported(), self._now()
        with self.store.write() as tx:
            self._take(tx, [Line(1, subscriber.address, subscriber)], done)
            if done.refused:
                raise NotAllowedError(f"{subscriber.address} {done.refused[0].why}.")
            if not done.added and not done.joined:
                return False
            one = tx.subscribers.by_normal([subscriber.normal])[subscriber.normal]
            event = "subscriber.added" if done.added else "subscriber.changed"
            tx.log.add(now, OFFICE, event, person, ref=one.ref)
            return True

    def bring_in(self, lines: Iterable[Line], person: Person, *, rehearsal: bool = False) -> Imported:
        """Takes the lines of a file, group by group; a second time it changes nothing.

        ``rehearsal`` only says what would happen.
        """
        done, seen, source = Imported(), set[str](), iter(lines)
        try:
            while group := list(islice(source, _GROUP)):
                fresh = [line for line in group if self._is_fresh(line, seen, done)]
                if rehearsal:
                    with self.store.read() as tx:
                        self._sorted(tx, fresh, done)
                else:
                    with self.store.write() as tx:
                        self._take(tx, fresh, done)
        finally:  # what was brought in before a fault is there, and somebody did it
            if not rehearsal:
                self._log_import(done, person)
        done.refused.sort(key=lambda one: one.number)
        return done

    def _log_import(self, done: Imported, person: Person) -> None:
        if done.added or done.joined:
            facts = {"added": done.added, "joined": done.joined, "refused": len(done.refused)}
            with self.store.write() as tx:
                tx.log.add(self._now(), OFFICE, "roster.imported", person, **facts)

    @staticmethod
    def _is_fresh(line: Line, seen: set[str], done: Imported) -> bool:
        if line.subscriber is None:
            done.refused.append(Refused(line.number, line.text, line.refusal))
            return False
        if line.subscriber.normal in seen:
            done.refused.append(Refused(line.number, line.text, "is in this file already, further up"))
            return False
        seen.add(line.subscriber.normal)
        return True

    def _sorted(
        self, tx: Transaction, group: Sequence[Line], done: Imported
    ) -> tuple[list[Subscriber], dict[str, list[str]], list[Subscriber]]:
        """Who is to be added, and who is there and comes on which more lists; the rest is counted or refused."""
        wanted = {line.subscriber.normal: line for line in group if line.subscriber}
        # In this order: who is removed in between is known still, and not brought back.
        known = tx.subscribers.by_normal(wanted)
        barred = tx.subscribers.suppressed(wanted)
        added, more, there = [], dict[str, list[str]](), []
        for normal, line in wanted.items():
            assert line.subscriber is not None
            if normal in barred:
                done.refused.append(Refused(line.number, line.text, _WHY[barred[normal]]))
            elif normal not in known:
                added.append(line.subscriber)
            elif known[normal].state is SubscriberState.PENDING:
                done.refused.append(Refused(line.number, line.text, _PENDING))
            elif missing := [name for name in line.subscriber.lists if name not in known[normal].lists]:
                more[normal] = missing
                there.append(known[normal])
            else:
                done.known += 1
        done.added += len(added)
        done.joined += len(there)
        return added, more, there

    def _take(self, tx: Transaction, group: Sequence[Line], done: Imported) -> None:
        added, more, there = self._sorted(tx, group, done)
        tx.subscribers.add(added, self._now())
        tx.subscribers.join(there, more)

    def change(
        self,
        address: str,
        person: Person,
        *,
        name: str | None = None,
        reading: Reading | None = None,
        lists: Sequence[str] | None = None,
    ) -> Subscriber:
        """Changes what is given of one subscriber. Raises :class:`NotFoundError`."""
        with self.store.write() as tx:
            one = _found(tx, address)
            values: dict[str, Any] = {}
            if name is not None:
                values["name"] = addresses.cleaned_name(name)
            if reading is not None:
                values["reading"] = reading
            tx.subscribers.change(one.id, self._now(), **values)
            if lists is not None:
                tx.subscribers.rejoin(one.id, lists)
            tx.log.add(self._now(), OFFICE, "subscriber.changed", person, ref=one.ref)
            return tx.subscribers.by_normal([one.normal])[one.normal]

    def remove(self, address: str, person: Person) -> None:
        """Deletes a person, whoever she is; she is not written to again, and nothing else of her is kept."""
        normal = _normal(address)
        now = self._now()
        with self.store.write() as tx:
            one = tx.subscribers.by_normal([normal]).get(normal)
            barred = tx.subscribers.suppressed([normal])
            if one is None and barred:
                raise NotAllowedError(f"{address} is not there any more, and is not written to.")
            if one is None:
                raise NotFoundError(f"There is no subscriber {address}; check the spelling.")
            tx.subscribers.remove(one.id)
            tx.subscribers.suppress(normal, Suppression.REMOVED, now)
            tx.log.add(now, OFFICE, "subscriber.removed", person, ref=one.ref)

    def find(self, address: str) -> tuple[Subscriber | None, Suppression | None]:
        """Who has this address, and why it must not be written to, if so."""
        normal = _normal(address)
        with self.store.read() as tx:
            found = tx.subscribers.by_normal([normal]).get(normal)
            return found, tx.subscribers.suppressed([normal]).get(normal)

    def all(self, list_: str = "", state: SubscriberState | None = None) -> Iterator[Subscriber]:
        """Everybody, a page at a time."""
        with self.store.read() as tx:
            yield from tx.subscribers.all(list_, state)

    def reach(self, lists: Sequence[str] = ()) -> Mapping[Reading, int]:
        """How many a newsletter to ``lists`` (empty: to all) would go to, by what they read."""
        with self.store.read() as tx:
            found = tx.mailings.reach(lists)
        return {reading: found.get(reading, 0) for reading in Reading}

    def counts(self) -> tuple[Mapping[tuple[str, str], int], Mapping[str, int]]:
        """How many there are by state and language, and how many active ones on each list."""
        with self.store.read() as tx:
            return tx.subscribers.counts(), tx.subscribers.lists()

    # --- by subscribers themselves ------------------------------------------------------------------------------

    def of_ref(self, ref: str) -> Subscriber | None:
        """Whose ``ref`` it is."""
        with self.store.read() as tx:
            return tx.subscribers.by_ref(ref)

    def request(
        self, address: str, name: str, reading: Reading, lists: Sequence[str], how: str, text: str
    ) -> Subscriber | None:
        """Somebody asks for the newsletter: the subscriber who is to be mailed for confirmation.

        ``None`` where nothing is to be mailed: she has it already, or has once reported a newsletter as spam, and
        anybody can type her address. Raises :class:`UsageError` for what is no address.
        """
        read, now = _read(address), self._now()
        consent = Consent(now, how[:200], text[:_LONGEST_TEXT])
        with self.store.write() as tx:
            one = tx.subscribers.by_normal([read.normal]).get(read.normal)
            if one is not None and one.state in (SubscriberState.ACTIVE, SubscriberState.COMPLAINED):
                return None
            if one is None:
                new = Subscriber(
                    read.sent,
                    read.normal,
                    addresses.cleaned_name(name) or read.name,
                    reading,
                    tuple(lists),
                    SubscriberState.PENDING,
                    consent,
                    how[:200],
                )
                tx.subscribers.add([new], now)
            else:
                # What she asks for now is noted; whether she gets anything is decided when she confirms.
                asked = {"state": SubscriberState.PENDING, "reading": reading}
                tx.subscribers.change(one.id, now, **asked, **_consented(consent))
                tx.subscribers.rejoin(one.id, {*one.lists, *lists})
            found = tx.subscribers.by_normal([read.normal])[read.normal]
            tx.log.add(now, OFFICE, "subscriber.asked", MACHINE, ref=found.ref, how=how[:200])
            return found

    def confirm(self, ref: str, *, how: str, detail: str = "") -> Subscriber | None:
        """She who was asked to confirm has done so, and gets the newsletter, whatever was before.

        The subscriber as she then stands; ``None`` where there is no such person. Who was not asked, or has left since,
        is left as she is.
        """
        return self._back(ref, SubscriberState.PENDING, "subscriber.confirmed", how, detail)

    def undo(self, ref: str, *, how: str, detail: str = "") -> Subscriber | None:
        """She has unsubscribed by mistake, and says so at once."""
        return self._back(ref, SubscriberState.UNSUBSCRIBED, "subscriber.returned", how, detail)

    def _back(
        self, ref: str, wanted: SubscriberState, event: str, how: str, detail: str
    ) -> Subscriber | None:
        def work(tx: Transaction, one: Subscriber, now: datetime) -> None:
            tx.subscribers.change(one.id, now, state=SubscriberState.ACTIVE, bounces=0, consent_at=now)
            tx.subscribers.unsuppress(one.normal)

        return self._settled(ref, SubscriberState.ACTIVE, event, how, detail, work, wanted)

    def unsubscribe(self, ref: str, *, how: str, detail: str = "") -> Subscriber | None:
        """Ends the subscription, once or again; ``None`` where there is no such person any more."""
        return self._leave(ref, SubscriberState.UNSUBSCRIBED, Suppression.UNSUBSCRIBED, how, detail)

    def choose(self, ref: str, reading: Reading, *, how: str) -> Subscriber | None:
        """She wants another language."""

        def work(tx: Transaction, one: Subscriber, now: datetime) -> None:
            tx.subscribers.change(one.id, now, reading=reading)

        return self._settled(ref, None, "subscriber.chose", how, str(reading), work)

    # --- by mail servers ----------------------------------------------------------------------------------------

    def complained(self, ref: str, *, detail: str) -> Subscriber | None:
        """She has reported a newsletter as spam."""
        return self._leave(ref, SubscriberState.COMPLAINED, Suppression.COMPLAINED, "complaint", detail)

    def bounced_hard(self, ref: str, *, detail: str) -> Subscriber | None:
        """Her mailbox does not exist."""
        return self._leave(ref, SubscriberState.BOUNCED, Suppression.BOUNCED, "bounce", detail)

    def bounced_soft(self, ref: str, *, detail: str, mailing: int = 0) -> Subscriber | None:
        """Her mailbox could not take a newsletter; several in a row, and it is given up.

        ``mailing`` is the delivery whose newsletter it was, 0 for unknown: servers report one letter more than once,
        and it counts once where a report of it is kept already. Where the one before was taken, a new row begins.
        """
        with self.store.write() as tx:
            one = tx.subscribers.by_ref(ref)
            if one is None or one.state is not SubscriberState.ACTIVE:
                return one
            if mailing and tx.subscribers.has_bounced(one.id, mailing):
                return one
            if mailing and tx.bounces.is_previous_fine(one.id, mailing):
                tx.subscribers.change(one.id, self._now(), bounces=0)
            count = tx.subscribers.count_bounce(one.id, self._now())
        return self.bounced_hard(ref, detail=f"{count} newsletters: {detail}") if count >= SOFT_LIMIT else one

    def _leave(
        self, ref: str, state: SubscriberState, reason: Suppression, how: str, detail: str
    ) -> Subscriber | None:
        def work(tx: Transaction, one: Subscriber, now: datetime) -> None:
            tx.subscribers.change(one.id, now, state=state)
            tx.subscribers.suppress(one.normal, reason, now, _scrubbed(detail, one))

        return self._settled(ref, state, _EVENTS[reason], how, detail, work)

    def _settled(
        self,
        ref: str,
        state: SubscriberState | None,
        event: str,
        how: str,
        detail: str,
        work: Any,
        wanted: SubscriberState | None = None,
    ) -> Subscriber | None:
        """Does ``work`` and logs who or what did it, unless she is in ``state`` already, or in a stronger one.

        With ``wanted``, only where she is in that state. A complaint is the strongest: a click or a bounce after it
        does not make it weaker.
        """
        now = self._now()
        with self.store.write() as tx:
            one = tx.subscribers.hold(ref)
            if one is None or (wanted is not None and one.state is not wanted):
                return one
            if one.state is state or (one.state, state) in _WEAKER:
                return one
            work(tx, one, now)
            said = _scrubbed(detail, one)
            tx.log.add(now, OFFICE, event, MACHINE, ref=ref, how=how[:100], detail=said)
            return replace(one, state=state or one.state)


def _scrubbed(detail: str, one: Subscriber) -> str:
    """What a server or a program said, on one line and without the address: both kept for good, and she may go."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in detail).split())
    for written in (re.escape(one.address), re.escape(one.normal), _ANY_ADDRESS):
        plain = re.sub(written, "(address)", plain, flags=re.IGNORECASE)
    return plain[:_LONGEST_DETAIL]


def _consented(consent: Consent) -> dict[str, Any]:
    return {"consent_at": consent.at, "consent_how": consent.how, "consent_text": consent.text}


def _normal(address: str) -> str:
    return _read(address).normal


def _read(address: str) -> addresses.Address:
    try:
        return addresses.read(address)
    except ValueError as error:
        raise UsageError(f"{error}.") from None


def _found(tx: Transaction, address: str) -> Subscriber:
    normal = _normal(address)
    one = tx.subscribers.by_normal([normal]).get(normal)
    if one is None:
        raise NotFoundError(f"There is no subscriber {address}; check the spelling.")
    return one
