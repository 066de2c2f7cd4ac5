"""What is known is not given up: the store away for longer than a lease, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from publisher.engine import deliverer
from publisher.engine.embedded import EmbeddedEngine
from publisher.store import Store
from publisher.worker import assemble
from tests.toy import OFFICER, Office, office

LEASE = timedelta(seconds=5)


@pytest.fixture
def bureau(store: Store, tmp_path: Path) -> Office:
    """An office with a website and a channel that links to it and cannot be asked."""
    return office(store, tmp_path / "home")


class Outage:
    """The database refuses every statement while it is on, as a server that is being restarted does."""

    def __init__(self, store: Store) -> None:
        self.on, self._refused = False, asyncio.Semaphore(0)
        self._loop = asyncio.get_running_loop()
        event.listen(store._engine, "before_cursor_execute", self._meet)

    def _meet(self, connection: object, cursor: object, statement: str, *_: object) -> None:
        if self.on:
            self._loop.call_soon_threadsafe(self._refused.release)
            raise OperationalError(statement, {}, Exception("the server is being restarted"))

    async def refused(self, times: int = 10) -> None:
        """Returns once it has refused so often. Raises ``TimeoutError`` where nobody asks any more."""
        async with asyncio.timeout(20):
            for _ in range(times):
                await self._refused.acquire()


@pytest.fixture
async def engine(bureau: Office) -> AsyncIterator[EmbeddedEngine]:
    """A worker's engine over the office."""
    made = EmbeddedEngine(bureau.store, bureau.desk.channels, "worker-1", now=bureau.clock, lease=LEASE)
    yield made
    await made.stop()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause between two tries is a turn of the loop, and the last tries are two."""
    monkeypatch.setattr(deliverer, "PAUSE", 0.0)
    monkeypatch.setattr(deliverer, "_LAST_TRIES", 2)


async def _until_note_is_sent(bureau: Office, engine: EmbeddedEngine) -> str:
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    await engine.enqueue_due()
    await engine.drain()
    return key


async def test_outage__a_known_answer_outlives_the_lease(bureau: Office, engine: EmbeddedEngine) -> None:
    """The service has answered and the store is away for an hour: what was answered is written when it is back.

    The channel cannot be asked, so an answer that were given up would be a question to a person.
    """
    key = await _until_note_is_sent(bureau, engine)
    outage = Outage(bureau.store)

    async def goes_away() -> None:
        outage.on = True

    bureau.service.hold = goes_away
    assert await engine.enqueue_due() == 1
    await outage.refused()
    bureau.clock.forward(hours=1)
    outage.on = False
    assert await engine.enqueue_due() == 0  # looks for lost ones, and must not count its own among them
    await engine.drain()
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.texts("note")) == 1
    assert "delivery.uncertain" not in {e.name for e in bureau.desk.log(key)}


async def test_outage__between_the_claim_and_the_request(bureau: Office, engine: EmbeddedEngine) -> None:
    """The store goes away right after the claim: the post goes out when it is back, once, and nobody is asked."""
    key = await _until_note_is_sent(bureau, engine)
    outage = Outage(bureau.store)

    @event.listens_for(bureau.store._engine, "commit", once=True)
    def _(_: object) -> None:
        outage.on = True

    claiming = asyncio.create_task(engine.enqueue_due())
    await outage.refused()
    assert bureau.service.texts("note") == []
    outage.on = False
    assert await claiming == 1
    await engine.drain()
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.texts("note")) == 1


async def test_outage__a_worker_that_ends_leaves_it_to_the_next(
    bureau: Office, engine: EmbeddedEngine
) -> None:
    """A worker that is stopped while the store stays away ends; the next one shows the post as uncertain."""
    key = await _until_note_is_sent(bureau, engine)
    outage = Outage(bureau.store)

    async def goes_away() -> None:
        outage.on = True

    bureau.service.hold = goes_away
    await engine.enqueue_due()
    await outage.refused()
    await engine.stop()
    outage.on = False
    bureau.service.hold = None
    bureau.clock.forward(minutes=1)
    await assemble(bureau.store, bureau.desk.channels, now=bureau.clock).run_once()
    assert bureau.states(key)["note"] == "uncertain"
    assert len(bureau.service.texts("note")) == 1


async def test_outage__a_worker_can_be_stopped_in_it(bureau: Office) -> None:
    """Told to stop while it waits for a store that is away, a worker ends; what it had claimed goes out later, once."""
    key = bureau.approved()
    bureau.desk.schedule(key, "now", OFFICER)
    worker = assemble(bureau.store, bureau.desk.channels, now=bureau.clock)
    outage = Outage(bureau.store)

    @event.listens_for(bureau.store._engine, "commit")
    def _(connection: object) -> None:
        with contextlib.suppress(StopIteration):
            outage.on = next(commits)

    commits = iter([False, False, False, True])  # tidied, planned, alive; then the claim
    running = asyncio.create_task(worker.run(signals=False))
    await outage.refused()
    worker.stop()
    async with asyncio.timeout(20):
        await running
    outage.on = False
    for _ in range(2):
        bureau.clock.forward(minutes=3)
        await assemble(bureau.store, bureau.desk.channels, now=bureau.clock).run_once()
    assert bureau.states(key) == {"site": "confirmed", "note": "confirmed"}
    assert len(bureau.service.posts) == 2


async def test_alive__only_while_it_looks(bureau: Office) -> None:
    """A worker whose engine does not look for what is due any more gives no sign of life, so that it is missed."""
    worker = assemble(bureau.store, bureau.desk.channels, now=bureau.clock)

    def seen() -> object:
        with bureau.store.read() as tx:
            return dict(tx.workers.all())

    await worker._alive()
    first = seen()
    assert first
    await worker._engine.next_due()
    bureau.clock.forward(seconds=30)
    await worker._alive()
    assert seen() != first
    second = seen()
    bureau.clock.forward(minutes=3)
    await worker._alive()
    assert seen() == second
    await worker._engine.stop()
    worker._writer.close()
