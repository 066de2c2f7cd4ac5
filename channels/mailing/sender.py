"""Sends a mailing: letters over several connections, in a thread of its own that never waits for one of them alone.

The thread owns the connections and does everything with them; sessions are opened, and letters signed by RSA, in other
threads, ahead of it. What happens to each letter is told to the record at once.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from channels.mailing.connection import Connection, Lost, Ready
from channels.mailing.pace import Waiting
from channels.smtp.conversation import SIGN_IN_FIRST, Opened
from channels.smtp.wire import Reply
from publisher.channel import DeliveryError, Fate, Letter, Record, Rejected, SignInFailed, Unavailable

_ENOUGH = 1000
"""So many letters wait at most before the next ones are asked for."""
_BATCH = 8
"""Letters that one signing thread takes at a time."""
_AGAIN = 10.0
"""Seconds after which a connection that was refused is tried again, while others work."""
_GOODBYE = 2.0
"""Seconds for the answers to QUIT, which change nothing."""
_REFUSED = 20
"""So many refusals of the message itself, with not one accepted, are a refusal of the newsletter."""


@dataclass(frozen=True, slots=True)
class Means:
    """How a mailing is sent: what opens a session, what composes a letter, and within which bounds.

    ``signers`` is how many threads compose ahead, 0 where composing is quicker than handing over. Times in seconds.
    """

    open: Callable[[], Opened]
    compose: Callable[[Letter], Ready]
    server: str
    connections: int
    messages_per_connection: int
    timeout: float
    answer_timeout: float
    signers: int = 0


class Sender(threading.Thread):
    """One mailing under way. ``wants`` is called, in this thread, when more letters are wanted, and at the end."""

    def __init__(self, means: Means, waiting: Waiting, record: Record, wants: Callable[[], None]) -> None:
        super().__init__(name="mailing", daemon=True)
        self._means, self._waiting, self._record, self._wants = means, waiting, record, wants
        self._fed: deque[Sequence[Letter]] = deque()
        self._complete = self._stopping = self._asked = False
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        self._connections: dict[int, Connection] = {}
        self._opening: list[Future[Opened]] = []
        self._open_after = 0.0
        self._barren = 0
        """Connections in a row that were lost before a message of theirs was answered."""
        self._accepted = self._refused = 0
        self._composing: deque[Future[list[Ready]]] = deque()
        self._composed: deque[Ready] = deque()
        self._pool = ThreadPoolExecutor(means.connections, "mailing session")
        self._signers = ThreadPoolExecutor(means.signers, "mailing signer") if means.signers else None
        self.error: BaseException | None = None
        """Why it ended before its time."""

    # --- from other threads -------------------------------------------------------------------------------------

    def feed(self, letters: Sequence[Letter]) -> None:
        """More letters."""
        self._fed.append(letters)
        self._wake()

    def complete(self) -> None:
        """There are no more letters; it ends when all are answered."""
        self._complete = True
        self._wake()

    def give_up(self) -> None:
        """Begins nothing more; it ends when what is under way is answered."""
        self._stopping = True
        self._wake()

    @property
    def has_enough(self) -> bool:
        """Whether letters are waiting in plenty."""
        return len(self._fed) > 1 or len(self._waiting) >= _ENOUGH

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._wake_out.send(b".")

    # --- the thread ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Sends until all is answered; an error ends it."""
        try:
            while not self._is_done():
                self._turn()
            self._take_leave()
        except DeliveryError as error:
            self.error = error
        except Exception as error:  # told to the core, which decides
            self.error = error
        finally:
            self._end()

    def _is_done(self) -> bool:
        idle = all(connection.is_idle for connection in self._connections.values())
        if self._stopping:
            return idle
        left = self._fed or self._waiting or self._composing or self._composed
        return self._complete and not left and idle

    def _turn(self) -> None:
        now = time.monotonic()
        self._take_in()
        self._welcome(now)
        self._ask_for_connections(now)
        if not self._stopping:
            for connection in list(self._connections.values()):
                self._serve(connection, now)
        for key, events in self._selector.select(self._rest(now)):
            connection = key.data
            if connection is None:
                self._drain_wakes()
            elif connection.fileno in self._connections:
                self._attend(connection, events)
        self._check_time(time.monotonic())

    def _take_in(self) -> None:
        while self._fed:
            self._waiting.add(self._fed.popleft())
            self._asked = False
        if not self._asked and len(self._waiting) < _ENOUGH // 2:
            self._asked = True
            self._wants()

    def _rest(self, now: float) -> float:
        """Seconds until something is to be done without a socket saying so."""
        waits = self._waiting.until(now)
        return min(1.0, max(waits, 0.001) if waits else 1.0)

    def _drain_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_in.recv(4096):
                pass

    # --- connections --------------------------------------------------------------------------------------------

    def _ask_for_connections(self, now: float) -> None:
        """Opens the first, and once it stands, as many as there is work for."""
        work = len(self._waiting) + len(self._composed) + _BATCH * len(self._composing)
        wanted = min(self._means.connections, work) if self._connections or self._accepted else min(1, work)
        standing = len(self._connections) + len(self._opening)
        if self._stopping or standing >= wanted or now < self._open_after:
            return
        for _ in range(wanted - standing):
            opening = self._pool.submit(self._means.open)
            opening.add_done_callback(lambda _: self._wake())
            self._opening.append(opening)

    def _welcome(self, now: float) -> None:
        done = [one for one in self._opening if one.done()]
        self._opening = [one for one in self._opening if not one.done()]
        for one in done:
            try:
                opened = one.result()
            except DeliveryError:
                if not self._connections and not self._opening:
                    raise
                self._open_after = now + _AGAIN
            else:
                self._add(opened)

    def _add(self, opened: Opened) -> None:
        means = self._means
        connection = Connection(
            opened.socket,
            opened.extensions,
            self._begin,
            self._finished,
            timeout=means.timeout,
            answer_timeout=means.answer_timeout,
        )
        self._connections[connection.fileno] = connection
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def _serve(self, connection: Connection, now: float) -> None:
        """Gives a connection its next letter, where it has room for one, and sends what it has."""
        if connection.messages >= self._means.messages_per_connection:
            if connection.is_idle:
                self._drop(connection, "it has had its share")
                return
        else:
            self._give(connection, now)
        if connection.wants_to_write:
            self._write(connection)

    def _give(self, connection: Connection, now: float) -> None:
        while connection.has_room:
            ready = self._next(now)
            if ready is None:
                return
            connection.give(ready)

    def _attend(self, connection: Connection, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                connection.read()
            if connection.refused_office:
                self._refused_us(connection.refused_office)
            if not self._stopping:
                self._serve(connection, time.monotonic())
            elif connection.wants_to_write:
                self._write(connection)
        except Lost as error:
            self._lose(connection, str(error))

    def _write(self, connection: Connection) -> None:
        try:
            connection.write()
        except Lost as error:
            self._lose(connection, str(error))
            return
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.wants_to_write else 0)
        if self._selector.get_key(connection.socket).events != events:
            self._selector.modify(connection.socket, events, connection)

    def _check_time(self, now: float) -> None:
        for connection in list(self._connections.values()):
            if not connection.is_idle and now > connection.deadline:
                self._lose(connection, "timed out")

    def _lose(self, connection: Connection, why: str) -> None:
        if connection.fileno not in self._connections:
            return
        self._barren += 1
        self._drop(connection, why)
        if self._barren > 3 * self._means.connections and not self._stopping:
            raise Unavailable(f"{self._means.server} breaks every connection off ({why}).")

    def _drop(self, connection: Connection, why: str) -> None:
        self._selector.unregister(connection.socket)
        del self._connections[connection.fileno]
        connection.abandon(why)

    def _refused_us(self, reply: Reply) -> None:
        if reply.code in SIGN_IN_FIRST:
            raise SignInFailed(f"{self._means.server} refuses us ({reply}); check USERNAME and PASSWORD.")
        raise Rejected(f"{self._means.server} refuses the sender ({reply}); check SENDER and BOUNCES.")

    # --- letters ------------------------------------------------------------------------------------------------

    def _next(self, now: float) -> Ready | None:
        if self._signers is None:
            while (letter := self._waiting.next(now)) is not None:
                if made := self._made([letter]):
                    return made[0]
            return None
        self._compose_ahead(now)
        while not self._composed and self._composing and self._composing[0].done():
            self._composed.extend(self._composing.popleft().result())
        return self._composed.popleft() if self._composed else None

    def _compose_ahead(self, now: float) -> None:
        assert self._signers is not None
        room = 2 * self._means.signers + self._means.connections // _BATCH
        while len(self._composing) < room:
            batch: list[Letter] = []
            while len(batch) < _BATCH and (letter := self._waiting.next(now)) is not None:
                batch.append(letter)
            if not batch:
                return
            made = self._signers.submit(self._made, batch)
            made.add_done_callback(lambda _: self._wake())
            self._composing.append(made)

    def _made(self, letters: Sequence[Letter]) -> list[Ready]:
        made = []
        for letter in letters:
            try:
                made.append(self._means.compose(letter))
            except Rejected as error:
                self._finished(letter.number, Fate.REFUSED, str(error))
        return made

    def _begin(self, number: int) -> bool:
        allowed = not self._stopping and self._record.begin(number)
        if not allowed:
            self._stopping = True
        return allowed

    def _finished(self, number: int, fate: Fate, answer: str) -> None:
        self._record.end(number, fate, answer)
        if fate is Fate.SENT:
            self._accepted += 1
            self._barren = 0
        elif fate is Fate.REFUSED:
            self._refused += 1
            if self._refused >= _REFUSED and not self._accepted:
                self._stopping = True
                self.error = Rejected(
                    f"{self._means.server} refuses every message ({answer}); see its answer."
                )

    # --- the end ------------------------------------------------------------------------------------------------

    def _take_leave(self) -> None:
        """QUIT to every server; what they say to it is waited for, shortly, so that none sees a broken connection."""
        until = time.monotonic() + _GOODBYE
        for connection in list(self._connections.values()):
            connection.quit()
            self._write(connection)
        while self._connections and (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                if key.data is not None:
                    self._drop(key.data, "it is done")

    def _end(self) -> None:
        for connection in list(self._connections.values()):
            self._drop(connection, "the mailing was broken off")
        for opening in self._opening:
            opening.add_done_callback(_shut)
        self._pool.shutdown(wait=False)
        if self._signers:
            self._signers.shutdown(wait=False, cancel_futures=True)
        self._selector.close()
        self._wake_in.close()
        self._wake_out.close()
        self._wants()


def _shut(opening: Future[Opened]) -> None:
    """Closes a session that came too late."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().socket.close()


def signing_threads() -> int:
    """As many as the machine has cores: signing does not hold the interpreter's lock."""
    return max(1, os.cpu_count() or 1)
