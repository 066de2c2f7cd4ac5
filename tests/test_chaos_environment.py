"""Once, and not lost, when it is the machine that fails: disk, lock, clock, file and time itself."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from publisher.cli.main import main
from publisher.engine.embedded import EmbeddedEngine
from publisher.store import Store
from tests.chaos.points import PAUSE, TELL, Strike
from tests.chaos.rounds import PAST_KEYS, Bench, Plan, Services, scratch
from tests.chaos.worker import Job, Life
from tests.toy import OFFICER, Office, office

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="a pidfd is Linux's")

_ONCE = ("worker", "--once")
_MAIL_ANSWERED = "smtp message reply.after#1"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Workers over three real services and a store with two announcements that are due."""
    folder = scratch()
    with Bench(folder, tmp_path_factory.mktemp("chaos")) as made:
        yield made
    shutil.rmtree(folder)


def _stopped(bench: Bench, env: Path, point: str) -> Life:
    """A worker that stands still at ``point``."""
    life = bench.nursery.start(Job(str(env), _ONCE, strike=Strike(point, PAUSE)))
    assert life.paused(20), life.lines
    return life


def _ends(bench: Bench, life: Life, env: Path, services: Services) -> None:
    """The worker goes on, ends its work by itself, and everything is out once and known to be."""
    life.signal(signal.SIGCONT)
    assert life.wait(20)
    assert life.lines[-1] == "ended 0"
    life.end()
    verdict = bench.judge(Plan(), env, services, [], settled=True)
    assert verdict.violations == ()
    assert verdict.uncertain == 0


def test_disk__full_while_a_result_is_written(bench: Bench) -> None:
    """The mail is out and the disk is full: the result is kept, and written when there is room again."""
    with bench.round() as (env, services):
        life = _stopped(bench, env, _MAIL_ANSWERED)
        full = (env.parent / "data" / "publisher.sqlite3-wal").stat().st_size
        resource.prlimit(life.pid, resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
        life.signal(signal.SIGCONT)
        _logged(env.parent / "worker.log", "result.unwritten")
        resource.prlimit(life.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        _ends(bench, life, env, services)


def _logged(log: Path, event: str) -> None:
    deadline = time.monotonic() + 20
    while event not in log.read_text(encoding="utf-8"):
        assert time.monotonic() < deadline, f"no {event} in the log:\n{log.read_text(encoding='utf-8')}"
        time.sleep(0.01)  # a file of another process: there is nothing to be notified by


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


@pytest.mark.parametrize("what", ["missing", "unreadable"])
def test_env__goes_away_while_the_worker_runs(bench: Bench, what: str) -> None:
    """A worker that has started needs its .env no more."""
    with bench.round() as (env, services):
        life = _stopped(bench, env, "commit.after nothing#1")
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


@pytest.mark.parametrize(
    "point",
    [
        "smtp message send.before#1",
        _MAIL_ANSWERED,
        "http POST send_request_headers.started#1",
        "http POST receive_response_headers.complete#1",
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


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[Office]:
    """An office over toy services whose clock the test sets."""
    store = Store.open(tmp_path / "home")
    yield office(store, tmp_path / "home")
    store.close()


async def _work(bureau: Office, owner: str) -> None:
    engine = EmbeddedEngine(bureau.store, bureau.desk.channels, owner, now=bureau.clock)
    await engine.tidy()
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
