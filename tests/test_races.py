"""Two people, or a person and a worker, at the same moment: one wins or both agree, and the loser is told in words.

Every race is run several times on both databases, the two started by a barrier a random moment apart; where the
database has row locks, every second time queued behind a third who holds the announcement. ``RACE_SEED`` repeats the
moments of a run, ``RACE_ROUNDS`` makes it longer.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from publisher.announcement import AnnouncementState, Person
from publisher.channel import ChannelSettings, OutcomeUnknown
from publisher.control import Control
from publisher.delivery import DELIVERED, Action, Delivery, State
from publisher.desk import Desk
from publisher.errors import NotAllowedError, PublisherError
from publisher.store import Store
from publisher.worker import assemble
from tests.toy import APPROVER, DOCUMENT, OFFICER, Office, office

ROUNDS = int(os.environ.get("RACE_ROUNDS", "3"))
"""How often each race is run on each database; every second time queued, where there are locks to queue for."""
_APART = 0.012
"""The two begin at most so many seconds apart: about as long as a verb takes."""
SECOND = Person("Wang", "office")
_OF_A_DATABASE = re.compile(r"deadlock|serializ|constraint|transaction|SQL|store cannot be used", re.I)

Verb = Callable[[Desk], Any]


@dataclass
class Two:
    """An office with two desks, each over a store of its own, as two processes have it."""

    bureau: Office
    desks: tuple[Desk, Desk]
    rng: random.Random
    queued: bool = False
    """Whether both queue up behind a third who holds the announcement."""

    @property
    def has_row_locks(self) -> bool:
        return self.bureau.store._engine.dialect.name == "postgresql"

    def race(self, key: str, *verbs: Verb) -> list[Any]:
        """What each of the verbs gave or raised, all begun at the same moment."""
        barrier = threading.Barrier(len(verbs) + 1, timeout=10)
        moments = [self.rng.uniform(0, _APART) for _ in verbs]

        def run(verb: Verb, desk: Desk, moment: float) -> Any:
            barrier.wait()
            time.sleep(moment)
            return verb(desk)

        with ThreadPoolExecutor(len(verbs)) as pool:
            jobs = [pool.submit(run, *given) for given in zip(verbs, self.desks, moments, strict=False)]
            if self.queued:
                with self.bureau.store.write() as tx:
                    tx.announcements.get(key)
                    barrier.wait()
                    self.wait_for_waiting(len(verbs), lambda: all(job.done() for job in jobs))
            else:
                barrier.wait()
            return [job.exception(30) or job.result() for job in jobs]

    def wait_for_waiting(self, count: int, done: Callable[[], bool]) -> None:
        """Returns once so many transactions wait for a lock."""
        query = text(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        end = time.monotonic() + 5
        while time.monotonic() < end and not done():
            with self.bureau.store._engine.connect() as connection:
                if int(connection.execute(query).scalar_one()) >= count:
                    return

    def ledger(self, key: str) -> tuple[Delivery, ...]:
        return self.bureau.desk.show(key).deliveries

    def work(self, turns: int = 3) -> None:
        """Lets a worker do all there is to do, some minutes apart."""
        for _ in range(turns):
            worker(self.bureau.store, self.bureau)
            self.bureau.clock.forward(minutes=4)


def worker(store: Store, bureau: Office, slots: int = 32) -> None:
    """One worker's turn: all that is due, and all that becomes due by it, ``slots`` at a time."""
    one = assemble(store, bureau.desk.channels, now=bureau.clock)
    one._engine._slots = slots
    asyncio.run(one.run_once())


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What the worker says is kept and not printed: drawing tracebacks takes longer than these tests."""
    with capture_logs():
        yield


@pytest.fixture
def two(store: Store, tmp_path: Path, database_url: str) -> Iterator[Two]:
    """Two desks, and a seed that is printed."""
    seed = int(os.environ.get("RACE_SEED") or random.randrange(2**32))
    print(f"RACE_SEED={seed}")
    bureau = office(store, tmp_path / "home")
    stores = [Store.open(tmp_path / "home", database_url) for _ in range(2)]
    desks = [Desk(bureau.desk.settings, one, bureau.desk.channels, bureau.clock) for one in stores]
    yield Two(bureau, (desks[0], desks[1]), random.Random(seed))
    for one in stores:
        one.close()


# --- What must hold after every race ------------------------------------------------------------------


def lost(outcomes: list[Any]) -> list[PublisherError]:
    """Those who were refused. Fails where anything but a sentence for a person came."""
    for one in outcomes:
        if isinstance(one, BaseException):
            assert isinstance(one, PublisherError), f"{type(one).__name__} came out: {one}"
            assert not _OF_A_DATABASE.search(str(one)), one
            assert re.fullmatch(r"\S.{10,}[.\w]", str(one)), f"no sentence: {one}"
    return [one for one in outcomes if isinstance(one, BaseException)]


def consistent(two: Two, key: str) -> None:
    """What the ledger says is what is out: each post once, none that is called unsent, none that nobody planned."""
    posts = Counter(post for post, _ in two.bureau.service.posts if post.startswith(key))
    ledger = {d.key: d for d in two.ledger(key)}
    assert len(ledger) == len(two.ledger(key)), "two deliveries with one key"
    assert set(posts) <= set(ledger), "a post that nobody planned"
    retracted = {d.key.removesuffix("-retract") for d in ledger.values() if d.action is Action.RETRACT}
    for delivery in ledger.values():
        if delivery.action is Action.PUBLISH and delivery.key not in retracted:
            expected = int(delivery.state in DELIVERED)
            assert posts[delivery.key] == expected, (
                f"{delivery.key}, {delivery.state}: {posts[delivery.key]} posts"
            )


def many(two: Two, prepare: Callable[[], str]) -> Iterator[str]:
    """A fresh announcement for every round; at the end of each, what is out must be what the ledger says."""
    for number in range(ROUNDS):
        key = prepare()
        two.queued = two.has_row_locks and number % 2 == 0
        yield key
        two.queued = False
        two.work(1)
        consistent(two, key)
        print(f"round {number}: {two.bureau.states(key)}")


def scheduled(bureau: Office) -> str:
    """An approved announcement that is due now."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    return key


def submitted(bureau: Office, publish_at: str = "") -> str:
    """An announcement that lies on the approver's desk."""
    key, _ = bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER, publish_at=publish_at)
    bureau.desk.submit(key, OFFICER)
    return key


def revised(key: str, word: str = "点心") -> Verb:
    """Files a newer revision."""
    data = DOCUMENT.replace("茶点", word).encode()
    return lambda desk: desk.revise(key, OFFICER, data=data, name="corner.md")


# --- Two officers -------------------------------------------------------------------------------------


def test_race__approve_and_approve(two: Two) -> None:
    """Of two approvers one signs, and the other is told that there is nothing to approve any more."""
    for key in many(two, lambda: submitted(two.bureau, "now")):
        outcomes = two.race(
            key, lambda d, k=key: d.approve(k, APPROVER), lambda d, k=key: d.approve(k, SECOND)
        )
        (refused,) = lost(outcomes)
        assert "nothing to approve" in str(refused)
        names = [e.name for e in two.bureau.desk.log(key)]
        assert names.count("revision.approved") == 1
        assert names.count("announcement.scheduled") == 1


def test_race__approve_and_reject(two: Two) -> None:
    """Approved or sent back, never both."""
    for key in many(two, lambda: submitted(two.bureau, "now")):
        outcomes = two.race(
            key, lambda d, k=key: d.approve(k, APPROVER), lambda d, k=key: d.reject(k, SECOND, "no")
        )
        assert len(lost(outcomes)) == 1
        dossier = two.bureau.desk.show(key)
        rejected = dossier.filed.state is AnnouncementState.DRAFT
        assert (dossier.seal is None) is rejected
        assert bool(dossier.deliveries) is not rejected


def test_race__schedule_and_schedule(two: Two) -> None:
    """Two hours are set at once: one of them holds, for every channel and for the announcement alike."""
    hours = ["2026-10-02 09:00 Asia/Shanghai", "2026-10-03 09:00 Asia/Shanghai"]
    for key in many(two, two.bureau.approved):
        verbs = [lambda d, k=key, h=hour: d.schedule(k, h, OFFICER) for hour in hours]
        assert lost(two.race(key, *verbs)) == []
        dossier = two.bureau.desk.show(key)
        site = next(d for d in dossier.deliveries if d.channel == "site")
        assert dossier.filed.publish_at is not None
        assert site.due_at == dossier.filed.publish_at.instant()
        assert len(dossier.deliveries) == 2


def test_race__schedule_and_cancel(two: Two) -> None:
    """Scheduled or cancelled: the announcement and its deliveries say the same, and both people did what they were told."""
    for key in many(two, lambda: scheduled(two.bureau)):
        verbs: list[Verb] = [
            lambda d, k=key: d.schedule(k, "now", OFFICER),
            lambda d, k=key: d.cancel(k, SECOND),
        ]
        assert lost(two.race(key, *verbs)) == []
        state = two.bureau.desk.show(key).filed.state
        expected = {AnnouncementState.SCHEDULED: State.WAITING, AnnouncementState.CANCELLED: State.CANCELLED}
        assert {d.state for d in two.ledger(key)} == {expected[state]}


def test_race__revise_and_approve(two: Two) -> None:
    """A text that was changed while it was signed does not go out: the newer revision waits for its own approval."""
    for key in many(two, lambda: submitted(two.bureau, "now")):
        lost(two.race(key, revised(key), lambda d, k=key: d.approve(k, APPROVER)))
        newer_is_a_draft(two, key)


def test_race__revise_and_schedule(two: Two) -> None:
    """A text that was changed while its older revision was scheduled does not go out either."""
    for key in many(two, two.bureau.approved):
        lost(two.race(key, revised(key), lambda d, k=key: d.schedule(k, "now", OFFICER)))
        newer_is_a_draft(two, key)


def newer_is_a_draft(two: Two, key: str) -> None:
    """The newest revision is a draft, and nothing of the older one is waiting to go out."""
    dossier = two.bureau.desk.show(key)
    assert (dossier.filed.number, dossier.filed.state) == (2, AnnouncementState.DRAFT)
    assert {d.state for d in dossier.deliveries} <= {State.SUPERSEDED}


def test_race__revise_and_revise(two: Two) -> None:
    """Two revisions at once: each has a number of its own, or the second is told to look again."""
    for key in many(two, lambda: submitted(two.bureau)):
        refused = lost(two.race(key, revised(key, "点心"), revised(key, "果汁")))
        assert two.bureau.desk.show(key).filed.number == 3 - len(refused)


def test_race__submit_and_revise(two: Two) -> None:
    """Where the newest revision is submitted, it is known by whom: that person cannot approve it."""

    def draft() -> str:
        return two.bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER)[0]

    for key in many(two, draft):
        lost(two.race(key, revised(key), lambda d, k=key: d.submit(k, OFFICER)))
        filed = two.bureau.desk.show(key).filed
        assert filed.number == 2
        assert (filed.state, filed.submitter) in (
            (AnnouncementState.DRAFT, ""),
            (AnnouncementState.SUBMITTED, "Lin"),
        )


def out(two: Two) -> str:
    """An announcement that is out, with an approved newer revision."""
    key = scheduled(two.bureau)
    two.work(1)
    revised(key)(two.bureau.desk)
    two.bureau.approve(key)
    return key


def test_race__correct_and_correct(two: Two) -> None:
    """A correction that two people order is made once, in place."""
    for key in many(two, lambda: out(two)):
        verbs = [lambda d, k=key, p=person: d.correct(k, p, confirmed=True) for person in (OFFICER, SECOND)]
        lost(two.race(key, *verbs))
        assert [d.action for d in two.ledger(key) if d.revision == 2] == [Action.UPDATE]
        worker(two.bureau.store, two.bureau)
        (text,) = [t for k, t in two.bureau.service.posts if k == f"{key}-r1-site-both"]
        assert "点心" in text


def test_race__retract_and_retract(two: Two) -> None:
    """A retraction that two people order takes the post back once."""
    for key in many(two, lambda: out(two)):
        verbs = [lambda d, k=key, p=person: d.retract(k, p, confirmed=True) for person in (OFFICER, SECOND)]
        lost(two.race(key, *verbs))
        assert [d.channel for d in two.ledger(key) if d.action is Action.RETRACT] == ["site"]
        worker(two.bureau.store, two.bureau)
        assert f"{key}-r1-site-both" not in dict(two.bureau.service.posts)


def uncertain(two: Two) -> str:
    """An announcement whose note may or may not be out; nobody can ask."""

    def lose(key: str) -> None:
        if "-note-" in key:
            two.bureau.service.refuse = [_lose]

    two.bureau.service.seen = lose
    key = scheduled(two.bureau)
    worker(two.bureau.store, two.bureau)
    two.bureau.service.seen = lambda key: None
    assert two.bureau.states(key)["note"] == "uncertain"
    return key


def _lose() -> None:
    raise OutcomeUnknown("the connection was cut")


def test_race__resolve_and_resolve(two: Two) -> None:
    """Of two people who settle a doubt one is believed; the other is told that it is settled."""
    for key in many(two, lambda: uncertain(two)):
        note = f"{key}-r1-note-both"
        outcomes = two.race(
            key, lambda d, n=note: d.resolve(n, None, OFFICER), lambda d, n=note: d.resolve(n, None, SECOND)
        )
        assert len(lost(outcomes)) == 1
        names = [e.name for e in two.bureau.desk.log(key)]
        assert names.count("delivery.resolved") == 1


# --- A person and a worker ------------------------------------------------------------------------------


def against_a_worker(two: Two, key: str, verb: Verb) -> Any:
    """What ``verb`` gave or raised while a worker was claiming and sending."""
    two.queued = False  # a worker waits for nobody
    outcomes = two.race(key, verb, lambda desk: worker(desk.store, two.bureau))
    assert outcomes[1] is None, f"the worker broke: {outcomes[1]!r}"
    lost(outcomes)
    return outcomes[0]


def test_race__cancel_against_a_worker(two: Two) -> None:
    """What the cancelling person is told to be stopped stays unsent; what was faster is out and called so."""
    ends = Counter[str]()
    for key in many(two, lambda: scheduled(two.bureau)):
        told = against_a_worker(two, key, lambda d, k=key: d.cancel(k, OFFICER))
        if isinstance(told, list):
            still = {d.key for d in told}
            sent = {k for k, _ in two.bureau.service.posts if k.startswith(key)}
            assert sent <= still, "sent, but not among what could not be stopped"
        ends["stopped" if isinstance(told, list) else "too late"] += 1
    print(ends)


def test_race__revise_against_a_worker(two: Two) -> None:
    """Either the older revision is out and the reviser is told so, or it is superseded and never goes out."""
    for key in many(two, lambda: scheduled(two.bureau)):
        told = against_a_worker(two, key, revised(key))
        older = [d for d in two.ledger(key) if d.revision == 1]
        if isinstance(told, NotAllowedError):
            assert State.SUPERSEDED not in {d.state for d in older}
        else:
            assert {d.state for d in older} <= DELIVERED | {State.SUPERSEDED}


def test_race__schedule_against_a_worker(two: Two) -> None:
    """An hour that is moved while a worker is at it moves what has not begun, and nothing goes out twice."""
    for key in many(two, lambda: scheduled(two.bureau)):
        later = "2026-12-01 09:00 Asia/Shanghai"
        against_a_worker(two, key, lambda d, k=key, h=later: d.schedule(k, h, OFFICER))
        moved = {d.state for d in two.ledger(key)}
        assert moved <= DELIVERED | {State.WAITING}


def test_race__halt_against_a_worker(two: Two) -> None:
    """Once a halt has been confirmed to the person who called it, no further attempt begins."""
    for key in many(two, lambda: scheduled(two.bureau)):

        def halt(desk: Desk, key: str = key) -> int:
            assert Control(desk.store, desk.channels, two.bureau.clock).halt(OFFICER)
            return attempts(desk, key)

        begun = against_a_worker(two, key, halt)
        two.work(1)
        assert attempts(two.bureau.desk, key) == begun
        assert two.bureau.control.unhalt(OFFICER)


def attempts(desk: Desk, key: str) -> int:
    """How many attempts at the announcement have begun."""
    return sum(e.name == "attempt.started" for e in desk.log(key))


def test_halt__while_a_claim_is_being_written(two: Two) -> None:
    """A claim that a halt overtakes is not made: the halt waits for it, or it finds the halt."""
    if not two.has_row_locks:
        pytest.skip("SQLite has one writer: a claim is made as a whole, or not yet.")
    first = scheduled(two.bureau)
    worker(two.bureau.store, two.bureau)  # from now on the store has a line for each channel
    two.bureau.clock.forward(minutes=5)
    key = scheduled(two.bureau)
    with ThreadPoolExecutor(2) as pool:
        with holding_channels(two):
            working = pool.submit(worker, two.desks[0].store, two.bureau)
            two.wait_for_waiting(1, working.done)
            halting = pool.submit(lambda: (two.bureau.control.halt(OFFICER), attempts(two.bureau.desk, key)))
            two.wait_for_waiting(2, halting.done)
        working.result(30)
        halted, begun = halting.result(30)
    assert halted
    assert attempts(two.bureau.desk, key) == begun, "an attempt began after the halt was confirmed"
    assert two.bureau.states(first) == {"site": "confirmed", "note": "confirmed"}


@contextmanager
def holding_channels(two: Two) -> Iterator[None]:
    """A third one holds the standing of the channels."""
    with two.bureau.store._engine.begin() as connection:
        connection.execute(text("SELECT * FROM channels FOR UPDATE"))
        yield


def test_race__halt_and_halt(two: Two) -> None:
    """Of two who halt at once one has done it, and the other finds it done."""
    for _ in range(ROUNDS * 2):
        outcomes = two.race(
            "", *(lambda d: Control(d.store, d.channels, two.bureau.clock).halt(OFFICER) for _ in range(2))
        )
        assert lost(outcomes) == []
        assert sorted(outcomes) == [False, True]
        assert two.bureau.control.unhalt(OFFICER)


def test_race__resolve_against_a_worker(two: Two) -> None:
    """A person and the service answer at once: the post that is there stays the only one."""
    for key in many(two, lambda: scheduled(two.bureau)):
        two.bureau.service.faults = [_lose]
        two.bureau.service.hidden = True
        worker(two.bureau.store, two.bureau)  # the site's post is out, and not found yet
        two.bureau.service.hidden = False
        two.bureau.clock.forward(minutes=3)
        site = f"{key}-r1-site-both"
        address = "https://toy.example/found"
        against_a_worker(two, key, lambda d, s=site, a=address: d.resolve(s, a, OFFICER))
        assert {d.state for d in two.ledger(key) if d.channel == "site"} <= DELIVERED


# --- Two workers ------------------------------------------------------------------------------------------


def test_race__two_workers_on_a_new_store(two: Two) -> None:
    """Two workers that start at the same moment on a store that has published nothing: each post goes out once."""
    keys = [scheduled(two.bureau) for _ in range(6)]
    with ThreadPoolExecutor(2) as pool, beginning_a_channel(two) as wait:
        working = [pool.submit(worker, desk.store, two.bureau, slots=3) for desk in two.desks]
        wait(lambda: all(job.done() for job in working))
    assert [job.exception(30) for job in working] == [None, None], "a worker broke"
    two.work()
    for key in keys:
        assert two.bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
        consistent(two, key)


@contextmanager
def beginning_a_channel(two: Two) -> Iterator[Callable[[Callable[[], bool]], None]]:
    """A third one is about to write the first line of a channel, and does not; gives what waits for two to wait."""
    if not two.has_row_locks:
        yield lambda done: None
        return
    with two.bureau.store._engine.connect() as connection:
        connection.execute(text("INSERT INTO channels (name) VALUES ('site')"))
        yield lambda done: two.wait_for_waiting(2, done)
        connection.rollback()


def test_claim__two_workers_share_the_pace(two: Two) -> None:
    """However many workers there are, a channel starts no more in a minute than it was set to."""
    if not two.has_row_locks:
        pytest.skip("SQLite has one writer: the second claim sees what the first one has counted.")
    for channel in two.bureau.desk.channels.values():
        channel.settings = ChannelSettings(per_minute=3)
    scheduled(two.bureau)
    worker(two.bureau.store, two.bureau)  # from now on the store has a line for each channel
    two.bureau.clock.forward(minutes=5)
    keys = [scheduled(two.bureau) for _ in range(6)]
    with ThreadPoolExecutor(2) as pool, holding_channels(two):
        working = [pool.submit(worker, desk.store, two.bureau, slots=3) for desk in two.desks]
        two.wait_for_waiting(2, lambda: all(job.done() for job in working))
    assert [job.exception(30) for job in working] == [None, None]
    assert sum(attempts(two.bureau.desk, key) > 0 for key in keys) == 3


def test_claim__two_workers_begin_at_other_ends(two: Two) -> None:
    """Two workers that count what they start on the same channels, in opposite order, do not stop each other."""
    if not two.has_row_locks:
        pytest.skip("SQLite has one writer, and so no order of locks.")
    scheduled(two.bureau)
    worker(two.bureau.store, two.bureau)  # from now on the store has a line for each channel
    two.bureau.clock.forward(minutes=5)
    keys = [scheduled(two.bureau) for _ in range(2)]
    crossed(two, keys)
    with ThreadPoolExecutor(2) as pool:
        with two.bureau.store._engine.begin() as connection:
            connection.execute(text("SELECT * FROM channels WHERE name = 'site' FOR UPDATE"))
            working = []
            for number, desk in enumerate(two.desks):
                working.append(pool.submit(worker, desk.store, two.bureau, slots=2))
                two.wait_for_waiting(number + 1, working[-1].done)
        assert [job.exception(30) for job in working] == [None, None]
    two.work(1)
    for key in keys:
        consistent(two, key)


def crossed(two: Two, keys: list[str]) -> None:
    """Makes the first announcement due as site, note, and the second one as note, site."""
    first, second = ({d.channel: d for d in two.ledger(key)} for key in keys)
    due = two.bureau.clock()
    with two.bureau.store.write() as tx:
        for place, one in enumerate((first["site"], first["note"], second["note"], second["site"])):
            moment = due - timedelta(seconds=9 - place)
            assert tx.deliveries.reschedule(one, moment, None, due, OFFICER)
