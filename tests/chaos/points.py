"""Named points between two effects of a worker, installed from outside: commits, HTTP, SMTP, files.

A point is reached in the worker's own process and threads. What then happens is the :class:`Strike`: the process
kills itself with SIGKILL, which nothing in it can notice, or stops itself with SIGSTOP, as a suspended machine does.
"""

from __future__ import annotations

import functools
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection, Engine, ExceptionContext, Pool, event
from sqlalchemy.engine.default import DefaultDialect

from channels.smtp.wire import Wire
from tests.chaos import clocks

KILL, PAUSE, TELL, COMMITTING = "kill", "pause", "tell", "committing"
HOLD, SEVER, BACK, FORWARD = "hold", "sever", "back", "forward"
_TURNS = {BACK: timedelta(hours=-1), FORWARD: timedelta(hours=1)}
_WRITES = re.compile(r'(INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)')
_KEY = re.compile(r"\d{4}-\d{4,}")
_STAGED = re.compile(r"\.(.+)\.\w{8}\.part")
_DOT = b"\r\n.\r\n"


def _sever(connection: Any) -> None:
    """What a driver says when its connection has gone; that of PostgreSQL, since SQLite has nothing to sever."""
    from psycopg import OperationalError

    connection.driver_connection.close()
    raise OperationalError("the connection was lost while a commit was answered")


@dataclass(frozen=True, slots=True)
class Strike:
    """What happens where: ``point`` is ``name#occurrence``, empty for nowhere; ``action`` one of those above.

    ``*`` in a point stands for any text; it is struck once all the same.
    :data:`TELL` only tells the harness; so does :data:`COMMITTING`, which leaves the killing to it and says when the
    commit is over. :data:`PAUSE` waits until the process holds no lock of the database, :data:`HOLD` does not, and is
    for a worker that nobody follows meanwhile. :data:`SEVER`, at a commit, loses the connection when the server has
    committed and before its answer is there. :data:`BACK` and :data:`FORWARD` set the clock of the process by an hour,
    and pause it then: as a machine that was suspended, and wakes up with another time.
    """

    point: str = ""
    action: str = KILL


class Points:
    """Counts every point as it is reached, tells ``report`` where asked to, and strikes at one of them."""

    def __init__(self, strike: Strike, report: Callable[[str], None], *, record: bool = False) -> None:
        self._strike, self._report, self._record = strike, report, record
        self._reached: Counter[str] = Counter()
        self._struck = False
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        """Held while this process holds the database's write lock: it is not stopped then, or nobody could go on."""
        self._mine = threading.local()
        """Of each thread: what its transaction has ``written``, and whether it ``holds`` the lock above."""

    def reach(self, name: str) -> bool:
        """The process is at ``name`` now; whether it was struck there, if it is still alive."""
        with self._lock:
            self._reached[name] += 1
            here = f"{name}#{self._reached[name]}"
            hit = not self._struck and fnmatchcase(here, self._strike.point)
            self._struck |= hit
        if self._record:
            self._report(f"point {here}")
        if not hit:
            return False
        self._act(self._strike.action)
        return True

    def _act(self, action: str) -> None:
        if action == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        elif action == PAUSE or action in _TURNS:
            with self._writing:
                if action in _TURNS:
                    clocks.turn(_TURNS[action])
                self._stand_still()
        elif action == HOLD:
            self._stand_still()
        elif action != SEVER:
            self._report("committing" if action == COMMITTING else "there")

    def _stand_still(self) -> None:
        self._report("paused")
        os.kill(os.getpid(), signal.SIGSTOP)

    def install(self) -> None:
        """Puts every point into this process."""
        self._install_database()
        self._install_http()
        self._install_smtp()
        self._install_files()

    # --- the database ---------------------------------------------------------------------------------------

    def _install_database(self) -> None:
        """Before every statement that writes, and before and after every commit, named by what it commits."""
        commit, rollback = DefaultDialect.do_commit, DefaultDialect.do_rollback

        def committing(dialect: Any, connection: Any) -> None:
            names = "+".join(sorted(set(getattr(self._mine, "written", ())))) or "nothing"
            self._mine.written = []
            self.reach(f"commit.before {names}")
            struck = self.reach(f"commit.inside {names}")
            commit(dialect, connection)
            if struck and self._strike.action == SEVER:
                self._report("severed")
                _sever(connection)
            elif struck:
                self._report("committed")
            self._release()
            self.reach(f"commit.after {names}")

        def rolling_back(dialect: Any, connection: Any) -> None:
            try:
                rollback(dialect, connection)
            finally:
                self._release()

        event.listen(Engine, "begin", self._beginning)
        event.listen(Engine, "before_cursor_execute", self._executing)
        event.listen(Engine, "handle_error", self._refused)
        # A connection that was lost is not rolled back: nothing is left of it.
        event.listen(Pool, "invalidate", lambda *_: self._release())
        DefaultDialect.do_commit = committing  # type: ignore[method-assign]
        DefaultDialect.do_rollback = rolling_back  # type: ignore[method-assign]

    def _beginning(self, connection: Connection) -> None:
        if connection.get_execution_options().get("publisher_read"):
            return
        self.reach("transaction begin")
        self._mine.written = []
        if not getattr(self._mine, "holds", False):
            self._mine.holds = self._writing.acquire()

    def _refused(self, context: ExceptionContext) -> None:
        """Tells that the database did not do what it was asked; the log may be on the same full disk."""
        if not context.is_pre_ping:
            self._report("refused")

    def _release(self) -> None:
        if getattr(self._mine, "holds", False):
            self._mine.holds = False
            self._writing.release()

    def _executing(self, _: Any, __: Any, statement: str, ___: Any, context: Any, ____: bool) -> None:
        if not (match := _WRITES.match(statement)):
            return
        names = [match[2]]
        if match[2] == "events":
            names = [str(row.get("name")) for row in context.compiled_parameters]
        self._mine.written = [*getattr(self._mine, "written", []), *names]
        self.reach(f"statement {match[1].split()[0]} {match[2]}")

    # --- HTTP -----------------------------------------------------------------------------------------------

    def _install_http(self) -> None:
        """Every step of a request that httpcore's trace extension tells of, by method."""
        plain = httpx.AsyncHTTPTransport.handle_async_request

        async def handle(transport: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
            async def trace(name: str, _: Any) -> None:
                if not name.endswith(".failed"):
                    self.reach(f"http {request.method} {name.partition('.')[2]}")

            request.extensions = {**request.extensions, "trace": trace}
            return await plain(transport, request)

        httpx.AsyncHTTPTransport.handle_async_request = handle  # type: ignore[method-assign]

    # --- SMTP -----------------------------------------------------------------------------------------------

    def _install_smtp(self) -> None:
        """Before and after each command and each reply; also with half of the message out, and all but its dot."""
        talk = threading.local()
        send, reply = Wire.send, Wire.reply

        def sending(wire: Wire, data: bytes, timeout: float | None = None) -> None:
            message = data.endswith(_DOT) and len(data) > 100
            talk.step = "message" if message else data.split()[0].decode()
            self.reach(f"smtp {talk.step} send.before")
            if message:
                half, dot = len(data) // 2, len(data) - len(_DOT)
                for begin, end, name in ((0, half, "half"), (half, dot, "without dot"), (dot, None, "")):
                    send(wire, data[begin:end], timeout)
                    if name:
                        self.reach(f"smtp message send.{name}")
            else:
                send(wire, data, timeout)
            self.reach(f"smtp {talk.step} send.after")

        def replied(wire: Wire, timeout: float | None = None) -> Any:
            answer = reply(wire, timeout)
            self.reach(f"smtp {getattr(talk, 'step', 'greeting')} reply.after")
            return answer

        Wire.send, Wire.reply = sending, replied  # type: ignore[method-assign]

    # --- files ----------------------------------------------------------------------------------------------

    def _install_files(self) -> None:
        """Before and after each file takes its place, and before each is synced."""
        replace, fsync = os.replace, os.fsync

        @functools.wraps(replace)
        def replacing(source: Any, target: Any, **more: Any) -> None:
            name = _KEY.sub("KEY", "/".join(Path(target).parts[-2:]))
            self.reach(f"file {name} replace.before")
            replace(source, target, **more)
            self.reach(f"file {name} replace.after")

        @functools.wraps(fsync)
        def syncing(handle: int) -> None:
            name = _STAGED.sub(r"\1", _KEY.sub("KEY", Path(f"/proc/self/fd/{handle}").readlink().name))
            self.reach(f"file {name} sync.before")
            fsync(handle)

        os.replace, os.fsync = replacing, syncing
