"""Once, and not lost, when it is the machine that fails: disk, lock, clock, file and time itself."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from publisher import clock, registry, settings
from publisher.cli.main import main
from publisher.delivery import DELIVERED, State
from publisher.desk import Desk
from publisher.engine.embedded import EmbeddedEngine
from publisher.store import Store
from tests.chaos.databases import Server
from tests.chaos.disks import DISKS, Disk
from tests.chaos.points import BACK, FORWARD, HOLD, PAUSE, SEVER, TELL, Strike
from tests.chaos.power import CUT_SHORT, NOT_FILLED, TEARS, tear
from tests.chaos.relay import SILENT_AFTER_DOT
from tests.chaos.rounds import ASKABLE, PAST_KEYS, SET_BACK, Bench, Plan, Services, scratch
from tests.chaos.verdict import DUPLICATE
from tests.chaos.worker import Job, Life
from tests.toy import OFFICER, Office, office

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="a pidfd is Linux's")

_TWO_SWEEPS, _PAST_A_LEASE = 1.3, 7.0
"""Seconds: in which a worker looks twice for what is due; and after which a lease, not renewed, is over."""
_ONCE, _UNATTENDED = ("worker", "--once"), ("worker",)
_MAIL_ANSWERED = "smtp message reply.after#1"
_POST_ANSWERED = "http POST receive_response_headers.complete#1"
_SITE_WRITTEN = "file site/sitemap.xml replace.after#1"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Workers over three real services and a store with two announcements that are due."""
    folder = scratch()
    with Bench(folder, tmp_path_factory.mktemp("chaos")) as made:
        yield made
    shutil.rmtree(folder)


def _stopped(bench: Bench, env: Path, strike: Strike, arguments: tuple[str, ...] = _ONCE) -> Life:
    """A worker that stands still where ``strike`` says."""
    life = bench.nursery.start(Job(str(env), arguments, strike=strike))
    assert life.paused(20), life.lines
    return life


def _ends(bench: Bench, life: Life, env: Path, services: Services, ahead: float | None = None) -> None:
    """The worker goes on, ends its work by itself, and everything is out once and known to be.

    With ``ahead``, the clock of another worker, what this one has left for later is done by that one.
    """
    life.signal(signal.SIGCONT)
    assert life.wait(20)
    assert life.lines[-1] == "ended 0"
    life.end()
    settled = ahead is None or bench.recover(env, ahead)
    verdict = bench.judge(Plan(), env, services, [], settled=settled)
    assert verdict.violations == ()
    assert verdict.uncertain == 0, verdict.ledger


def _all_out(bench: Bench, env: Path, seconds: float = 20) -> None:
    """Returns when everything is out, and known to be."""
    _awaited(lambda: set(_states(bench, env).values()) <= DELIVERED, lambda: bench.ledger(env), seconds)


def _states(bench: Bench, env: Path) -> dict[tuple[str, str], State]:
    """Of each delivery, by announcement and channel."""
    return {(told.announcement, told.channel): told.state for told in bench.ledger(env)}


def _awaited(true: Callable[[], bool], what: Callable[[], object] = str, seconds: float = 20) -> None:
    """Returns when it is ``true``, by what another process does; else fails, and shows ``what`` there is instead."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)  # a ledger that another process writes: there is nothing to be notified by


# --- the disk -------------------------------------------------------------------------------------------------


@pytest.fixture(params=DISKS, ids=lambda kind: kind.name)
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A disk that can be filled: a real and small one, or, where nothing can be mounted, a limit on files."""
    with request.param(tmp_path / "disk") as made:
        yield made


@pytest.mark.parametrize("point", ["transaction begin#3", _SITE_WRITTEN, _MAIL_ANSWERED, _POST_ANSWERED])
def test_disk__full_while_the_worker_works(bench: Bench, disk: Disk, point: str) -> None:
    """Store, log and website are on a full disk: what was answered is kept until there is room, the rest waits."""
    with bench.round(disk.folder) as (env, services):
        life = _stopped(bench, env, Strike(point, PAUSE), _UNATTENDED)
        disk.fill(life.pid)
        life.signal(signal.SIGCONT)
        for _ in range(2):  # the second time shows that it goes on trying
            assert life.wait(20, "refused"), life.lines
        disk.free(life.pid)
        life.signal(signal.SIGTERM)
        _ends(bench, life, env, services, ahead=0)


# --- the database ---------------------------------------------------------------------------------------------


def test_round__leaves_no_worker_behind(bench: Bench) -> None:
    """The harness itself: a worker that stands still or waits when its test fails does not outlive its round."""
    with pytest.raises(ZeroDivisionError), bench.round() as (env, _):
        process = os.pidfd_open(_stopped(bench, env, Strike(_MAIL_ANSWERED, PAUSE), _UNATTENDED).pid)
        raise ZeroDivisionError
    assert select.select([process], [], [], 5)[0], "it still lives"
    os.close(process)


def test_lock__held_by_another_process(bench: Bench) -> None:
    """Another program holds the database while a result is to be written: it is written when the lock goes."""
    with bench.round() as (env, services):
        at = Strike("transaction begin#4", TELL)
        life = bench.nursery.start(Job(str(env), _ONCE, strike=at))
        assert life.wait(20, "there"), life.lines
        other = sqlite3.connect(env.parent / "data" / "publisher.sqlite3", isolation_level=None, timeout=20)
        other.execute("BEGIN IMMEDIATE")
        assert not life.wait(0.5), "the worker ended without its results"
        before = other.execute("SELECT count(*) FROM events").fetchone()
        other.execute("ROLLBACK")
        _ends(bench, life, env, services)
        assert other.execute("SELECT count(*) FROM events").fetchone() > before
        other.close()


@contextmanager
def _locked(env: Path) -> Iterator[None]:
    """Another process holds the write lock of the SQLite store."""
    other = sqlite3.connect(env.parent / "data" / "publisher.sqlite3", isolation_level=None, timeout=20)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


def test_lock__held_for_longer_than_a_lease(bench: Bench) -> None:
    """Results cannot be written for ten seconds: no answer is forgotten, nor one that comes when the lease is over."""
    with bench.round() as (env, services):
        _be_patient(env)
        services.delay_mail(_PAST_A_LEASE)  # the first of the two mails; the second is answered at once
        life = _stopped(bench, env, Strike(_MAIL_ANSWERED, PAUSE), _UNATTENDED)
        with _locked(env):
            life.signal(signal.SIGCONT)
            assert not life.wait(10), "the worker ended without its results"
        _all_out(bench, env)
        life.signal(signal.SIGTERM)
        _ends(bench, life, env, services)


@pytest.mark.parametrize("how", TEARS)
def test_power__a_tear_takes_the_last_commit_alone(tmp_path: Path, how: str) -> None:
    """The harness itself: what is torn off is the newest commit, however many pages it has, and nothing before it."""
    live, killed = tmp_path / "live.sqlite3", tmp_path / "killed.sqlite3"
    with closing(sqlite3.connect(live, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE numbers (n, filler)")
        for number in range(1, 5):
            connection.execute("INSERT INTO numbers VALUES (?, ?)", (number, "x" * 20_000))
        for end in ("", "-wal"):
            shutil.copy(f"{live}{end}", f"{killed}{end}")
    assert tear(Path(f"{killed}-wal"), how)
    with closing(sqlite3.connect(killed)) as connection:
        assert connection.execute("SELECT n FROM numbers").fetchall() == [(1,), (2,), (3,)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize(("point", "how"), [(_SITE_WRITTEN, NOT_FILLED), (_POST_ANSWERED, CUT_SHORT)])
def test_power__what_the_disk_had_promised_is_lost(bench: Bench, point: str, how: str) -> None:
    """A disk that only said it had written the last commit, the claim: whoever can be asked has no post twice.

    On a channel that cannot be asked only the ledger tells, so that no such promise can be made.
    """
    verdict = bench.run(Plan(Strike(point), torn=how))
    assert verdict.strikes == (point,)
    twice = [v.sentence for v in verdict.violations if v.kind == DUPLICATE]
    assert [sentence for sentence in twice if any(f"-{name}-" in sentence for name in ASKABLE)] == []


# --- the settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["missing", "unreadable"])
def test_env__goes_away_while_the_worker_runs(bench: Bench, what: str) -> None:
    """A worker that has started needs its .env no more."""
    with bench.round() as (env, services):
        life = _stopped(bench, env, Strike("commit.after nothing#1", PAUSE))
        env.rename(env.with_name("env.away"))
        if what == "unreadable":
            env.mkdir()
        _ends(bench, life, env, services)


def test_env__unreadable_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence that names the file and the next step, and code 1."""
    env = tmp_path / ".env"
    env.mkdir()  # nobody can read a folder as a file, root neither
    assert main([*_ONCE, "--env", str(env)]) == 1
    assert capsys.readouterr().err == f"{env} cannot be read: Is a directory; check its permissions.\n"


# --- sleep ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point",
    [
        "smtp message send.before#1",
        _MAIL_ANSWERED,
        "http POST send_request_headers.started#1",
        _POST_ANSWERED,
    ],
)
def test_sleep__past_its_lease_while_another_works(bench: Bench, point: str) -> None:
    """A worker that stood still past its lease goes on after another has looked into it: no duplicate, a late result."""
    verdict = bench.run(Plan(Strike(point, PAUSE)))
    assert verdict.violations == ()
    assert verdict.strikes == (f"{point} paused",)
    assert any("delivery.late_result" in told.log for told in verdict.ledger)


def test_sleep__longer_than_a_key_lives(bench: Bench) -> None:
    """A worker that was suspended for hours right after its claim, when another has done its work: it sends nothing.

    After an hour Mastodon has forgotten the key of the post, so that only the claim itself can tell.
    """
    claims = [point for point in bench.recorded() if point.startswith("commit.after attempt.started")]
    verdict = bench.run(Plan(Strike(claims[-1], PAUSE), ahead=PAST_KEYS))
    assert verdict.strikes
    assert verdict.violations == ()


# --- the clock ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", [_MAIL_ANSWERED, _POST_ANSWERED])
@pytest.mark.parametrize("action", [BACK, FORWARD])
def test_clock__turned_before_a_result_is_written(bench: Bench, point: str, action: str) -> None:
    """The clock of a running worker is set by an hour between a post's claim and its result: the result is written.

    The database is held for a moment, so that the worker's own look at what is overdue comes in between.
    """
    with bench.round() as (env, services):
        life = _stopped(bench, env, Strike(point, action), _UNATTENDED)
        with _locked(env):
            life.signal(signal.SIGCONT)
            assert not life.wait(1)
        life.signal(signal.SIGTERM)
        _ends(bench, life, env, services, ahead=SET_BACK if action == BACK else -SET_BACK)


def test_clock__set_forward_while_an_answer_is_awaited(bench: Bench) -> None:
    """By the new clock the worker's own lease is over: it does not take its own post, still on its way, for lost."""
    with bench.round() as (env, services):
        _be_patient(env)
        services.delay_mail(_TWO_SWEEPS)
        life = _stopped(bench, env, Strike("smtp message send.without dot#1", FORWARD), _UNATTENDED)
        life.signal(signal.SIGCONT)
        _all_out(bench, env)
        life.signal(signal.SIGTERM)
        _ends(bench, life, env, services)


def _be_patient(env: Path) -> None:
    """Lets the worker wait for a slow answer of the mail service, as it does in an office."""
    env.write_text(env.read_text().replace("_ANSWER_TIMEOUT='1'", "_ANSWER_TIMEOUT='600'"))


@pytest.mark.parametrize("point", [_MAIL_ANSWERED, _POST_ANSWERED])
def test_clock__set_back_after_a_crash(bench: Bench, point: str) -> None:
    """The worker dies before the result is written and the clock is set back an hour: nothing is lost or doubled."""
    verdict = bench.run(Plan(Strike(point), ahead=SET_BACK))
    assert verdict.strikes == (point,)
    assert verdict.violations == ()


def test_clock__set_back_while_the_worker_waits(bench: Bench) -> None:
    """The clock is set back an hour, and then an officer publishes something: the worker notices at once all the same."""
    first, second = bench.keys
    with bench.round() as (env, services):
        with _desk(bench, env) as desk:
            desk.schedule(second, "2999-01-01 00:00 UTC", OFFICER)
        life = _stopped(bench, env, Strike(_MAIL_ANSWERED, BACK), _UNATTENDED)
        life.signal(signal.SIGCONT)
        _awaited(
            lambda: all(_states(bench, env)[first, name] in DELIVERED for name in (*ASKABLE, "newsletter"))
        )
        with _desk(bench, env, -timedelta(hours=1)) as desk:
            desk.schedule(second, "now", OFFICER)
        _all_out(bench, env, seconds=10)
        life.signal(signal.SIGTERM)
        _ends(bench, life, env, services)


@contextmanager
def _desk(bench: Bench, env: Path, ahead: timedelta = timedelta()) -> Iterator[Desk]:
    """An officer's desk, on a machine whose clock is ``ahead``."""
    with bench.opened(env) as store:
        loaded = settings.load(env, {})
        yield Desk(loaded, store, registry.build(loaded), now=lambda: clock.now() + ahead)


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[Office]:
    """An office over toy services whose clock the test sets."""
    store = Store.open(tmp_path / "home")
    yield office(store, tmp_path / "home")
    store.close()


async def _work(bureau: Office, owner: str) -> None:
    engine = EmbeddedEngine(bureau.store, bureau.desk.channels, owner, now=bureau.clock)
    with bureau.store.write() as tx:
        tx.deliveries.release_all(bureau.clock())
    while await engine.enqueue_due():
        await engine.drain()
    await engine.stop()


async def test_clock__set_back_between_claim_and_result(bureau: Office) -> None:
    """The clock is set back an hour while a post is on its way: its result is written, and the rest goes out."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)

    def set_back(_: str) -> None:
        bureau.service.seen = lambda _: None
        bureau.clock.forward(hours=-1)

    bureau.service.seen = set_back
    await _work(bureau, "worker-1")
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.posts) == 2


async def test_clock__set_back_and_then_a_crash(bureau: Office) -> None:
    """The clock is set back an hour and the worker dies: once its lease is over by the new clock, it is looked into."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    with bureau.store.write() as tx:
        tx.deliveries.claim("worker-dead", bureau.clock(), timedelta(seconds=5), 10)
    bureau.service.posts.append((f"{key}-r1-site-both", "text"))
    bureau.clock.forward(hours=-1)
    await _work(bureau, "worker-2")
    assert bureau.states(key)["site"] == "sending"
    bureau.clock.forward(hours=1, seconds=6)
    await _work(bureau, "worker-2")
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.texts("site")) == 1


# --- PostgreSQL -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL server that a test may crash."""
    with Server() as made:
        yield made


@pytest.fixture(scope="module")
def server_bench(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The same workers, with their ledgers on ``server``."""
    folder = scratch()
    with Bench(folder, tmp_path_factory.mktemp("chaos"), server.url) as made:
        yield made
    shutil.rmtree(folder)


_RESULTS = [_MAIL_ANSWERED, "commit.before *delivery.accepted#1", "commit.before *delivery.confirmed#1"]


@pytest.mark.parametrize("point", _RESULTS)
def test_server__ends_its_connections_while_a_result_is_written(server_bench: Bench, point: str) -> None:
    """The worker's connections are terminated when it has an answer, or half-way through writing it: it is written."""
    with server_bench.round() as (env, services):
        life = _stopped(server_bench, env, Strike(point, HOLD), _UNATTENDED)
        assert server_bench.databases is not None
        assert server_bench.databases.cut(env.parent.name) > 0
        life.signal(signal.SIGCONT)
        _all_out(server_bench, env)
        life.signal(signal.SIGTERM)
        _ends(server_bench, life, env, services)


def test_server__answer_to_a_result_is_lost(server_bench: Bench) -> None:
    """The result is committed and the worker cannot know: it writes once more, and nothing changes by it."""
    strike = Strike("commit.inside *delivery.accepted#1", SEVER)
    with server_bench.round() as (env, services):
        life = server_bench.nursery.start(Job(str(env), _UNATTENDED, strike=strike))
        assert life.wait(20, "severed"), life.lines
        _all_out(server_bench, env)
        life.signal(signal.SIGTERM)
        _ends(server_bench, life, env, services)


def test_server__answer_to_a_claim_is_lost(server_bench: Bench) -> None:
    """A claim is committed and the worker cannot know, while it waits for another answer: the claim runs out all the same."""
    first, second = server_bench.keys
    with server_bench.round() as (env, services):
        _be_patient(env)
        services.break_mail(SILENT_AFTER_DOT)
        with _desk(server_bench, env) as desk:
            desk.schedule(second, "2999-01-01 00:00 UTC", OFFICER)
        # The first two claims are of the first announcement, whose newsletter is never answered.
        strike = Strike("commit.inside attempt.started*#3", SEVER)
        life = server_bench.nursery.start(Job(str(env), _UNATTENDED, strike=strike))
        try:
            _awaited(lambda: _states(server_bench, env)[first, "mastodon"] in DELIVERED)
            with _desk(server_bench, env) as desk:
                desk.schedule(second, "now", OFFICER)
            assert life.wait(20, "severed")
            _awaited(lambda: _states(server_bench, env)[second, "website"] in DELIVERED, seconds=15)
        finally:
            life.end()


def test_server__crashes_while_a_result_is_written(server: Server, server_bench: Bench) -> None:
    """The server dies half-way through a result and comes back later: the result is written then, nothing is doubled."""
    with server_bench.round() as (env, services):
        life = _stopped(server_bench, env, Strike(_RESULTS[1], HOLD), _UNATTENDED)
        server.crash()
        life.signal(signal.SIGCONT)
        for _ in range(2):
            assert life.wait(20, "refused"), life.lines
        server.start()
        _all_out(server_bench, env)
        life.signal(signal.SIGTERM)
        _ends(server_bench, life, env, services)
