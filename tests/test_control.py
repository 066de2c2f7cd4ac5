"""The administrators' verbs: who halted, who let go on, is written down; and what keeps the office from working."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from publisher.announcement import Person
from publisher.errors import UsageError
from publisher.store import Store, Transaction
from tests.toy import Office, office

CHEN, LIN = Person("Chen", "chen-account"), Person("Lin", "lin-account")


@pytest.fixture
def bureau(store: Store, tmp_path: Path) -> Office:
    """An office with a website and a channel that links to it."""
    return office(store, tmp_path / "home")


def _lines(bureau: Office) -> list[tuple[str, str, str]]:
    return [(event.name, event.actor, event.account) for event in bureau.control.log()]


def test_halt__who_did_it_is_kept(bureau: Office) -> None:
    """A halt and its end are in the office's log, with person and account; what changed nothing is not."""
    assert bureau.control.halt(CHEN)
    assert not bureau.control.halt(LIN)
    assert bureau.control.outlook("UTC").halt == bureau.control.halted()
    assert bureau.control.halted().account == "chen-account"
    assert bureau.control.unhalt(LIN)
    assert not bureau.control.unhalt(CHEN)
    assert _lines(bureau) == [
        ("office.halted", "Chen", "chen-account"),
        ("office.unhalted", "Lin", "lin-account"),
    ]


def test_resume__who_did_it_is_kept(bureau: Office) -> None:
    """A person who lets a paused channel go on is in the office's log, once, with the channel's name."""
    with bureau.store.write() as tx:
        tx.channels.pause("site", "the token was refused", bureau.clock(), bureau.clock())
    assert bureau.control.resume("site", CHEN)
    assert not bureau.control.resume("site", LIN)
    with pytest.raises(UsageError, match='no channel "fax"'):
        bureau.control.resume("fax", CHEN)
    assert _lines(bureau) == [("channel.resumed", "Chen", "chen-account")]
    assert bureau.control.log()[0].detail == {"channel": "site"}


def test_log__of_the_office_and_of_announcements_stay_apart(bureau: Office) -> None:
    """The office's log holds nothing of an announcement, and an announcement's log nothing of the office."""
    key = bureau.approved()
    bureau.control.halt(CHEN)
    assert {event.name for event in bureau.control.log()} == {"office.halted"}
    assert not any(event.name.startswith("office.") for event in bureau.desk.log(key))


def _at_once(store: Store, work: Callable[[Transaction], object]) -> list[object]:
    """The results of ``work`` in two transactions that begin together."""
    ready, found = threading.Barrier(2), []

    def run() -> None:
        with store.write() as tx:
            if store._engine.dialect.name == "postgresql":
                ready.wait(5)  # both are inside; SQLite lets in one at a time
            found.append(work(tx))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return found


def test_halt__by_two_at_once(bureau: Office) -> None:
    """Two who halt at the same moment: one of them did it, and neither gets an error."""

    def halt(tx: Transaction) -> bool:
        changed = tx.channels.halt(CHEN, bureau.clock())
        return changed if tx.channels.halted() is not None else False  # the transaction can still be used

    assert sorted(map(bool, _at_once(bureau.store, halt))) == [False, True]
    assert bureau.control.halted() is not None


def test_channel__first_seen_by_two_at_once(bureau: Office) -> None:
    """Two workers that write a channel's first row at the same moment do not cost each other their claims."""
    results = _at_once(bureau.store, lambda tx: tx.channels.failed("site", "down"))
    assert len(results) == 2
    assert bureau.control.health()["site"].failures >= 1


@pytest.mark.parametrize(
    ("seen_ago", "due_in", "stranded"),
    [
        (None, timedelta(0), True),
        (None, timedelta(seconds=1), False),
        (timedelta(minutes=5), timedelta(0), False),
        (timedelta(minutes=5, seconds=1), timedelta(0), True),
        (timedelta(minutes=5, seconds=1), timedelta(hours=1), False),
    ],
)
def test_outlook__no_worker(
    bureau: Office, seen_ago: timedelta | None, due_in: timedelta, stranded: bool
) -> None:
    """Something due is stranded where no worker was seen for more than five minutes, or none is on the list."""
    key = bureau.approved()
    now = bureau.clock()
    bureau.desk.schedule(key, f"{now + due_in:%Y-%m-%dT%H:%M:%S}Z", LIN)
    if seen_ago is not None:
        with bureau.store.write() as tx:
            tx.workers.seen("office-1", now - seen_ago)
            tx.workers.seen("office-0", now - timedelta(days=1))
    outlook = bureau.control.outlook("Asia/Shanghai")
    assert outlook.stranded is stranded
    assert outlook.seen_at == (now - seen_ago if seen_ago is not None else None)


def test_outlook__a_worker_that_runs_once_is_a_worker(bureau: Office) -> None:
    """``worker --once`` is not on the list, but what it holds shows that it works; a lease that ran out does not."""
    key, other = bureau.approved(), bureau.approved()
    for one in (key, other):
        bureau.desk.schedule(one, "now", LIN)
    with bureau.store.write() as tx:
        tx.deliveries.claim("once", bureau.clock(), timedelta(seconds=5), 1)
    assert not bureau.control.outlook("UTC").stranded
    bureau.clock.forward(seconds=6)
    assert bureau.control.outlook("UTC").stranded
