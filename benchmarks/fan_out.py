"""Twenty channels whose service takes 200 ms each, through the engine: beside one of them, and beside Apprise."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

from benchmarks.fill import bureau, fill, soon
from publisher.channel import Adapter, ChannelSettings, Kind, Outcome, Payload, Receipt, Variant
from publisher.delivery import State
from publisher.engine.embedded import EmbeddedEngine
from publisher.http import HttpClient
from publisher.testing.exchange import Request, Response
from publisher.testing.loopback import Handle, LoopbackServer

_CHANNELS, _SERVICE, _ROUNDS = 20, 0.2, 5
_SETTINGS = ChannelSettings(per_minute=100_000)


@dataclass(frozen=True)
class _Text(Payload):
    text: str


class _Hook(Adapter[ChannelSettings, _Text]):
    """Posts a text to the loopback server, as any small HTTP service takes it."""

    title, kind, Settings = "a service that takes its time", Kind.SUMMARY, ChannelSettings
    url = ""

    async def check(self) -> str:
        return "ready"

    def prepare(self, variant: Variant) -> _Text:
        return _Text(variant.text("text"))

    async def publish(self, payload: _Text, key: str) -> Receipt:
        if not hasattr(self, "_client"):
            self._client = HttpClient(self.url, timeout=2.0)
        answer = await self._client.send("POST", f"/{key}", json={"text": payload.text}, creates=True)
        return Receipt(Outcome.CONFIRMED, str(answer.json()["id"]))

    async def close(self) -> None:
        if hasattr(self, "_client"):
            await self._client.close()


async def _slow(request: Request) -> Response:
    await asyncio.sleep(_SERVICE)
    return Response.json({"id": request.path[1:]})


async def _never(_: Request) -> Response:
    await asyncio.sleep(60)
    return Response.json({})


@contextmanager
def _served(handle: Handle) -> Iterator[str]:
    """The address of a service in a process of its own, so that its work is not counted as ours."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(handle, theirs), daemon=True)
    process.start()
    yield ours.recv()
    process.terminate()
    process.join()


def _serve(handle: Handle, to: Connection) -> None:
    to.send(LoopbackServer(handle).start())
    threading.Event().wait()


def measure() -> Iterator[tuple[str, str, str, float]]:
    """Wall time, CPU, and what a dead channel adds."""
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    alone, ours, one_dead, apprise, cpu = [], [], [], [], []
    with _served(_slow) as url, _served(_never) as dead, tempfile.TemporaryDirectory() as name:
        rounds = _Rounds(Path(name), url, dead)
        with asyncio.Runner() as loop:
            for number in range(_ROUNDS + 1):  # in turn, so that a busy moment hits all of them
                one = loop.run(rounds.run(1))
                all_ = loop.run(rounds.run(_CHANNELS))
                rest = loop.run(rounds.run(_CHANNELS, dead=True))
                told = loop.run(_apprise(url))
                if number:  # the first one imports and connects
                    alone.append(one[0])
                    ours.append(all_[0])
                    cpu.append(all_[1])
                    one_dead.append(rest[0])
                    apprise.append(told)
            loop.run(rounds.close())
    taken = median(ours)
    yield (
        "20 channels of 200 ms, against the service's 200 ms (at most 1.5)",
        _ms(taken),
        _ms(0.2),
        taken / 0.2,
    )
    yield "  against one such channel alone", _ms(taken), _ms(median(alone)), taken / median(alone)
    yield (
        "  against Apprise with 20 such addresses",
        _ms(taken),
        _ms(median(apprise)),
        taken / median(apprise),
    )
    late = median(one_dead)
    yield (
        "  the other 19 while one channel never answers, against all 20",
        _ms(late),
        _ms(taken),
        late / taken,
    )
    yield "  CPU of the worker for it, against 60 ms", _ms(median(cpu)), _ms(0.06), median(cpu) / 0.06


class _Rounds:
    """One store and one set of channels, which find new deliveries due in every round."""

    def __init__(self, folder: Path, url: str, dead: str) -> None:
        self._made, self._variant = bureau(folder)
        self._number = 0
        self._channels = {f"c{number}": _Hook(f"c{number}", _SETTINGS) for number in range(_CHANNELS)}
        for channel in self._channels.values():
            channel.url = url
        self._dead = _Hook("c0", _SETTINGS)
        self._dead.url = dead

    async def run(self, count: int, *, dead: bool = False) -> tuple[float, float]:
        """Seconds of wall and of this process's CPU until all that can be are out; without the dead one, if any."""
        self._number += 1
        channels: dict[str, _Hook] = dict(list(self._channels.items())[:count])
        names = tuple(channels)
        if dead:
            channels["c0"] = self._dead
        fill(self._made, self._variant, count, due=soon(-1), prefix=f"r{self._number}-", channels=names)
        engine = EmbeddedEngine(self._made.store, channels, f"bench-{self._number}")
        expected, out, all_out = count - dead, 0, asyncio.Event()

        def ended() -> None:
            nonlocal out
            out += 1
            if out >= expected:
                all_out.set()

        engine.on_end = ended
        begun, used = time.perf_counter(), time.process_time()
        await engine.enqueue_due()
        await all_out.wait()
        taken = time.perf_counter() - begun, time.process_time() - used
        await engine.stop()
        with self._made.store.read() as tx:
            mine = tx.deliveries.of(f"r{self._number}-0")
            assert sum(d.state is State.CONFIRMED for d in mine) == expected
        return taken

    async def close(self) -> None:
        for channel in (*self._channels.values(), self._dead):
            await channel.close()
        self._made.store.close()


async def _apprise(url: str) -> float:
    import apprise

    targets = apprise.Apprise()
    for number in range(_CHANNELS):
        targets.add(url.replace("http://", "json://") + f"/{number}")
    begun = time.perf_counter()
    assert await targets.async_notify(body="text")
    return time.perf_counter() - begun


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
