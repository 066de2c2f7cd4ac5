"""The ledger and the engine: claims a second and fan-out, each beside a reference in the same run."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

from sqlalchemy import text

from publisher import clock
from publisher.channel import ChannelSettings, Outcome, Receipt
from publisher.delivery import Move, State
from publisher.engine.embedded import EmbeddedEngine
from publisher.store import Store
from tests.toy import DOCUMENT, OFFICER, Office, Service, ToyNote, office

_LEASE = timedelta(seconds=5)
_CLAIMS = 6_000


def measure() -> Iterator[tuple[str, str, str, float]]:
    """Every figure of this file."""
    yield from _claims()
    yield from _fan_out()


def _bureau(folder: Path) -> tuple[Office, int]:
    """An office with one approved announcement, and the id of a sealed variant of it."""
    bureau = office(Store.open(folder), folder)
    bureau.desk._now = clock.now
    key, _ = bureau.desk.add(DOCUMENT.encode(), "corner.md", OFFICER)
    bureau.approve(key)
    with bureau.store.read() as tx:
        seal = tx.seals.of(tx.announcements.get(key).revision_id)
        assert seal is not None
        return bureau, tx.seals.variants(seal.id)[0][0]


def _fill(
    bureau: Office, variant_id: int, count: int, *, due_in: float, channel: str = "site", name: str = "x"
) -> None:
    """Stores ``count`` waiting deliveries; by the database itself, since a million of them are wanted."""
    statement = (
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count) "
        "INSERT INTO deliveries (key, announcement, revision, variant_id, channel, scope, canonical, state, due_at) "
        "SELECT :name || '-' || i, :announcement, 1, :variant, :channel, 'both', 0, 'waiting', :due FROM n"
    )
    values = {
        "count": count,
        "name": name,
        "announcement": bureau.desk.all()[0].filed.key,
        "variant": variant_id,
        "channel": channel,
        "due": (clock.now() + timedelta(seconds=due_in)).replace(tzinfo=None).isoformat(" "),
    }
    with bureau.store._engine.begin() as connection:
        connection.execute(text(statement), values)


# --- claims ---------------------------------------------------------------------------------------------------


def _claims() -> Iterator[tuple[str, str, str, float]]:
    ours = _two_processes(_claim_ours, _fill_ours)
    plain = _two_processes(_claim_plain, _fill_plain)
    yield (
        "claim and complete by tens, 2 processes, against bare SQL",
        f"{ours:,.0f}/s",
        f"{plain:,.0f}/s",
        ours / plain,
    )


def _two_processes(work: Callable[[Path, str], int], fill: Callable[[Path], None]) -> float:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder)
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


def _run(work: Callable[[Path, str], int], folder: Path, owner: str, barrier: Barrier) -> None:
    barrier.wait()
    work(folder, owner)


def _fill_ours(folder: Path) -> None:
    bureau, variant_id = _bureau(folder)
    _fill(bureau, variant_id, _CLAIMS, due_in=-1)
    bureau.store.close()


def _claim_ours(folder: Path, owner: str) -> int:
    store, done = Store.open(folder), 0
    receipt = Receipt(Outcome.CONFIRMED, "1")
    while True:
        with store.write() as tx:
            claimed = tx.deliveries.claim(owner, clock.now(), _LEASE, 10)
        if not claimed:
            store.close()
            return done
        with store.write() as tx:
            move = Move(State.CONFIRMED, "delivery.confirmed", receipt=receipt)
            done += sum(tx.deliveries.apply(one, move, clock.now()) for one in claimed)


def _fill_plain(folder: Path) -> None:
    connection = sqlite3.connect(folder / "plain.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT, due REAL, owner TEXT)")
    connection.execute("CREATE INDEX due ON jobs (due) WHERE state = 'waiting'")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO jobs (state, due) VALUES ('waiting', ?)", [(0.0,)] * _CLAIMS)
    connection.execute("COMMIT")
    connection.close()


def _claim_plain(folder: Path, owner: str) -> int:
    connection = sqlite3.connect(folder / "plain.sqlite3", isolation_level=None, timeout=30)
    connection.execute("PRAGMA synchronous=FULL")
    take = (
        "UPDATE jobs SET state = 'sending', owner = ? WHERE id IN "
        "(SELECT id FROM jobs WHERE state = 'waiting' AND due <= 1 ORDER BY due LIMIT 10) RETURNING id"
    )
    done = 0
    while True:
        connection.execute("BEGIN IMMEDIATE")
        claimed = connection.execute(take, (owner,)).fetchall()
        connection.execute("COMMIT")
        if not claimed:
            connection.close()
            return done
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "UPDATE jobs SET state = 'done' WHERE id = ? AND owner = ?", [(*c, owner) for c in claimed]
        )
        connection.execute("COMMIT")
        done += len(claimed)


# --- fan-out ------------------------------------------------------------------------------------


def _fan_out() -> Iterator[tuple[str, str, str, float]]:
    with tempfile.TemporaryDirectory() as name:
        bureau, variant_id = _bureau(Path(name))
        service = Service()
        service.hold = lambda: asyncio.sleep(0.2)
        channels = {}
        for number in range(20):
            channels[f"c{number}"] = ToyNote(f"c{number}", ChannelSettings())
            channels[f"c{number}"].service = service
            _fill(bureau, variant_id, 1, due_in=-1, channel=f"c{number}", name=f"fan{number}")

        async def run() -> float:
            engine = EmbeddedEngine(bureau.store, channels, "bench")
            begun = time.perf_counter()
            await engine.enqueue_due()
            await engine.drain()
            taken = time.perf_counter() - begun
            await engine.stop()
            return taken

        taken = asyncio.run(run())
        bureau.store.close()
    yield (
        "20 channels of 200 ms each, against one of them (at most 1.5)",
        f"{taken * 1000:.0f} ms",
        "200 ms",
        taken / 0.2,
    )
