"""A warm process that forks a worker at every request, because importing the product takes a second each time.

The child runs the product itself: its command line, or its worker with a clock that is ahead. SIGKILL hits it alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn

from publisher import clock, registry, settings
from publisher.cli.main import main
from publisher.store import Store
from publisher.worker import assemble, close
from tests.chaos import mutation
from tests.chaos.points import Points, Strike

_ROOT = Path(__file__).parents[2]
TURNS = 60


@dataclass(frozen=True, slots=True)
class Job:
    """One life of a worker.

    ``arguments`` are those of ``publisher``; without any it is a recovery: turns of a worker whose clock is ``ahead``
    seconds ahead and moves on to each next due moment, until nothing is due. ``mutation`` is one of
    :mod:`tests.chaos.mutation`; ``turns`` bounds a recovery.
    """

    env: str
    arguments: tuple[str, ...] = ()
    ahead: float = 0.0
    strike: Strike = field(default_factory=Strike)
    record: bool = False
    mutation: str = ""
    turns: int = TURNS


class Life:
    """A worker process as the harness sees it: the lines it reports, and signals to it."""

    def __init__(self, process: int, report: int) -> None:
        self._process, self._report = process, report
        self._buffer = b""
        self.lines: list[str] = []

    def line(self, deadline: float) -> str | None:
        """The next line it reports; ``None`` when it has ended. Raises ``TimeoutError`` at ``deadline`` (monotonic)."""
        while b"\n" not in self._buffer:
            if not select.select([self._report], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise TimeoutError
            if not (data := os.read(self._report, 65536)):
                return None
            self._buffer += data
        text, _, self._buffer = self._buffer.partition(b"\n")
        self.lines.append(text.decode())
        return self.lines[-1]

    @property
    def pid(self) -> int:
        """The process's number, known once it has told anything."""
        return int(self.lines[0].removeprefix("born "))

    def wait(self, seconds: float, until: str = "") -> bool:
        """Waits for the line ``until``, or the end; whether that came within ``seconds``."""
        deadline = time.monotonic() + seconds
        try:
            while (line := self.line(deadline)) is not None and line != until:
                pass
        except TimeoutError:
            return False
        return until == "" or line == until

    def paused(self, seconds: float) -> bool:
        """Waits until it has stopped itself; whether that came within ``seconds``."""
        if not self.wait(seconds, "paused"):
            return False
        status = Path(f"/proc/{self.pid}/stat")
        while status.read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.001)
        return True

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal; one that has ended already does not mind."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, number)

    def end(self) -> None:
        """Kills what is left of it and lets go; may be called twice."""
        if self._process < 0:
            return
        self.signal(signal.SIGKILL)
        while select.select([self._report], [], [], 10)[0] and os.read(self._report, 65536):
            pass
        os.close(self._process)
        os.close(self._report)
        self._process = -1


class Nursery:
    """The warm process. A context manager; :meth:`start` gives birth to a worker.

    It does the work of ``env`` itself first, so that no worker has to read templates and build models anew.
    """

    def __init__(self, env: Path) -> None:
        self._env = env
        self._lives: list[Life] = []

    def __enter__(self) -> Nursery:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.chaos.worker", str(theirs.fileno()), str(self._env)]
        self._server = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        if self._channel.recv(16) != b"ready":
            raise RuntimeError("The warm process could not run the product; its worker.log says why.")
        return self

    def start(self, job: Job) -> Life:
        """A worker that lives through ``job``."""
        self._channel.send(json.dumps(asdict(job)).encode())
        _, handles, _, _ = socket.recv_fds(self._channel, 16, 2)
        self._lives.append(Life(*handles))
        return self._lives[-1]

    def end(self) -> None:
        """Kills every worker that is left: one whose test has failed would work on, unattended, for ever."""
        while self._lives:
            self._lives.pop().end()

    def __exit__(self, *_: object) -> None:
        self.end()
        self._channel.close()
        self._server.wait(10)


def serve(channel: socket.socket, env: Path) -> None:
    """Does the work of ``env``, then forks a worker for every job that comes, until the other side has gone."""
    _log_to(env)
    main(["worker", "--once", "--env", str(env)])
    gc.freeze()
    _check_alone(channel)
    channel.send(b"ready")
    while message := channel.recv(65536):
        _reap()
        read, write = os.pipe()
        if (child := os.fork()) == 0:
            os.close(read)
            channel.close()
            _live(json.loads(message), write)
        os.close(write)
        process = os.pidfd_open(child)
        socket.send_fds(channel, [b"born"], [process, read])
        os.close(process)
        os.close(read)


def _check_alone(channel: socket.socket) -> None:
    """A connection to a database must not be there when a worker is forked: two processes would speak on it."""
    handles = [entry for entry in Path("/proc/self/fd").iterdir() if entry.name != str(channel.fileno())]
    left = [name for name in map(_target, handles) if name.startswith("socket:") or "sqlite" in name]
    if left:
        raise RuntimeError(f"The warm process still holds {', '.join(left)}.")


def _target(handle: Path) -> str:
    try:
        return str(handle.readlink())
    except FileNotFoundError:
        return ""  # that of the listing itself


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _log_to(env: Path) -> None:
    log = os.open(env.parent / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _live(raw: dict[str, object], report: int) -> NoReturn:
    code = 70
    try:
        job = Job(**{**raw, "strike": Strike(**raw["strike"])})  # type: ignore[arg-type]  # our own JSON
        _log_to(Path(job.env))
        code = _run(job, functools.partial(_report, report))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _report(handle: int, line: str) -> None:
    os.write(handle, f"{line}\n".encode())


def _run(job: Job, report: Callable[[str], None]) -> int:
    report(f"born {os.getpid()}")
    Points(job.strike, report, record=job.record).install()
    if job.mutation:
        mutation.install(job.mutation)
    if job.arguments:
        code = main([*job.arguments, "--env", job.env])
        report(f"ended {code}")
        return code
    due = asyncio.run(_recover(Path(job.env), job.ahead, job.turns))
    report(f"due {due.isoformat()}" if due else "settled")
    return 0


async def _recover(env: Path, ahead: float, turns: int) -> datetime | None:
    """Turns of new workers until nothing is due; what is still due after that many."""
    loaded = settings.load(env, {})
    channels = registry.build(loaded)
    store = Store.open(loaded.home, loaded.office.database_url.get_secret_value())
    offset = timedelta(seconds=ahead)
    due: datetime | None = None
    try:
        for _ in range(turns):
            due = await assemble(store, channels, now=functools.partial(_ahead, offset)).run_once()
            if due is None:
                break
            offset = max(offset, due - clock.now() + timedelta(seconds=1))
        return due
    finally:
        await close(channels.values())
        store.close()


def _ahead(offset: timedelta) -> datetime:
    return clock.now() + offset


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]))
