"""The worker with a million deliveries stored: on time, idle, started, and after SIGKILL."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles

from benchmarks.fill import bureau, fill, soon
from publisher import clock, registry, settings
from publisher.channel import ChannelSettings
from publisher.desk import Desk
from publisher.store import Store
from publisher.worker import assemble
from tests.chaos.services import Services
from tests.toy import APPROVER, DOCUMENT, OFFICER, Service, ToyNote

_STORED = 1_000_000
_DUE, _SPREAD = 200, 10.0
_IDLE_SECONDS = 20.0
_KILLS = 5
_ENV = (
    "PUBLISHER_CHANNELS=site\nSITE_ADAPTER=static_site\nSITE_FOLDER=out\nSITE_URL=https://news.example.org\n"
)


def measure() -> Iterator[tuple[str, str, str, float]]:
    """Every figure of this file."""
    with tempfile.TemporaryDirectory() as many, tempfile.TemporaryDirectory() as none:
        _store(Path(many), _STORED)
        _store(Path(none), 0)
        yield from _lateness(Path(many))
        yield from _idle(Path(many), Path(none))
    yield from _recovery()


def _store(folder: Path, count: int) -> None:
    (folder / ".env").write_text(_ENV)
    (folder / ".env").chmod(0o600)
    made, variant_id = bureau(folder / "data")
    if count:  # half of them are history, half are planned for the next years
        fill(made, variant_id, count // 2, due=soon(-count * 30), apart=60.0, state="confirmed", prefix="old")
        fill(made, variant_id, count // 2, due=soon(3 * 86_400), apart=60.0, prefix="later")
    made.store.close()


# --- on time --------------------------------------------------------------------------------------------------


def _lateness(folder: Path) -> Iterator[tuple[str, str, str, float]]:
    """From the due moment to the adapter, which comes after the claim, two more commits and the sealed bytes."""
    begin = clock.now() + timedelta(seconds=8)
    ours = sorted(_in_process(_on_time, folder, begin))
    bare = sorted(_in_process(_sleepers, folder, begin))
    for share, most in ((50, 5), (99, 50)):
        mine, theirs = (quantiles(found, n=100)[share - 1] for found in (ours, bare))
        yield (
            f"lateness p{share}, a million stored, against asyncio asleep (at most {most} ms)",
            f"{mine * 1000:.1f} ms",
            f"{theirs * 1000:.1f} ms",
            mine / theirs,
        )


def _in_process(work: Callable[[Path, datetime], list[float]], folder: Path, begin: datetime) -> list[float]:
    """The work of a process of its own, so that nothing of this one is in its way."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_tell, args=(work, folder, begin, theirs))
    process.start()
    found: list[float] = ours.recv()
    process.join()
    return found


def _tell(
    work: Callable[[Path, datetime], list[float]], folder: Path, begin: datetime, to: Connection
) -> None:
    to.send(work(folder, begin))


def _on_time(folder: Path, begin: datetime) -> list[float]:
    made, variant_id = bureau(folder / "data")
    due = {f"due-{n}": begin + timedelta(seconds=n * _SPREAD / _DUE) for n in range(_DUE)}
    fill(
        made, variant_id, _DUE, due=begin, apart=_SPREAD / _DUE, prefix="due", whole=True, channels=("note",)
    )
    late: list[float] = []
    note, service = ToyNote("note", ChannelSettings(per_minute=100_000)), Service()
    note.service = service
    worker = assemble(made.store, {"note": note})

    def seen(key: str) -> None:
        if key in due:
            late.append((clock.now() - due[key]).total_seconds())
        if len(late) == _DUE:
            worker.stop()

    service.seen = seen
    asyncio.run(worker.run(signals=False))
    made.store.close()
    return late


def _sleepers(_: Path, __: datetime) -> list[float]:
    async def run() -> list[float]:
        begun = time.perf_counter()

        async def one(number: int) -> float:
            due = begun + number * _SPREAD / _DUE
            await asyncio.sleep(due - time.perf_counter())
            return time.perf_counter() - due

        return list(await asyncio.gather(*(one(n) for n in range(_DUE))))

    return asyncio.run(run())


# --- idle, started --------------------------------------------------------------------------------------------


def _idle(many: Path, none: Path) -> Iterator[tuple[str, str, str, float]]:
    full, empty = _resting(many), _resting(none)
    yield (
        "idle worker, a million stored, share of a core (at most 0.5 %), against an empty store",
        f"{full[0] * 100:.2f} %",
        f"{empty[0] * 100:.2f} %",
        full[0] / empty[0],
    )
    yield (
        "  until it is ready (at most 50 ms more)",
        f"{full[1] * 1000:.0f} ms",
        f"{empty[1] * 1000:.0f} ms",
        full[1] / empty[1],
    )
    yield "  memory (at most 5 MB more)", f"{full[2]:.1f} MB", f"{empty[2]:.1f} MB", full[2] / empty[2]


def _resting(folder: Path) -> tuple[float, float, float]:
    """Share of a core, seconds until ready, resident megabytes of ``publisher worker`` with nothing to do."""
    begun = time.perf_counter()
    with _worker(folder) as process:
        _line(process, "worker.started")
        ready = time.perf_counter() - begun
        time.sleep(2)
        before = _cpu(process.pid)
        time.sleep(_IDLE_SECONDS)
        share = (_cpu(process.pid) - before) / _IDLE_SECONDS
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        return share, ready, resident / 1024


def _cpu(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- after SIGKILL ----------------------------------------------------------------------------------------------


def _recovery() -> Iterator[tuple[str, str, str, float]]:
    """From the kill of the worker whose post is on its way to the moment another knows that it is out."""
    taken = sorted(_recovered() for _ in range(_KILLS))
    lease = 5.0
    yield (
        f"recovery after SIGKILL, worst of {_KILLS}, against the lease (at most 8 s)",
        f"{taken[-1]:.1f} s",
        f"{lease:.1f} s",
        taken[-1] / lease,
    )


def _recovered() -> float:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        services = stack.enter_context(Services(folder))
        env = {
            "PUBLISHER_CHANNELS": "website,mastodon",
            **{key: value for key, value in services.settings().items() if not key.startswith("NEWSLETTER")},
            "MASTODON_TIMEOUT": "60",
        }
        (folder / ".env").write_text("".join(f"{key}='{value}'\n" for key, value in env.items()))
        (folder / ".env").chmod(0o600)
        key = _due(folder)
        services.break_web("silent after acting", "POST")
        with _worker(folder) as first, _worker(folder) as second:
            sending = {first.pid: first, second.pid: second}
            services.wait_until_posted()
            holder = _holder(folder, key)
            other = next(process for number, process in sending.items() if number != holder)
            os.kill(holder, signal.SIGKILL)
            begun = time.perf_counter()
            while _line(other, "delivery.confirmed")["channel"] != "mastodon":
                pass
            return time.perf_counter() - begun


def _due(folder: Path) -> str:
    loaded = settings.load(folder / ".env", {})
    store = Store.open(loaded.home)
    desk = Desk(loaded, store, registry.build(loaded))
    key, _ = desk.add(DOCUMENT.encode(), "corner.md", OFFICER)
    desk.submit(key, OFFICER)
    desk.approve(key, APPROVER)
    desk.schedule(key, "now", OFFICER)
    store.close()
    return key


def _holder(folder: Path, key: str) -> int:
    """The process that is sending the post."""
    store = Store.open(folder / "data")
    with store.read() as tx:
        started = [e for e in tx.log.of(key) if e.name == "attempt.started"]
    store.close()
    return int(str(started[-1].detail["owner"]).split("-")[-2])


@contextmanager
def _worker(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "publisher", "worker"],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str], event: str) -> dict[str, str]:
    """Waits for the log line of ``event``."""
    assert process.stderr is not None
    for line in process.stderr:
        fields: dict[str, str] = json.loads(line)
        if fields.get("event_name") == event:
            return fields
    raise RuntimeError(f"The worker ended without {event}.")
