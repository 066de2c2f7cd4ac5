"""A mail server for the tests of sending: it follows a script, letter by letter, and keeps what it was told."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from channels.mailing import SubscribersAdapter, SubscribersSettings
from channels.mailing.payload import build
from publisher.channel import Fate, Letter
from tests.mailing_letters import letter, letterhead, variant

CUT, RESET, SILENT, EARLY, EARLY_OK, HALF = "(cut)", "(reset)", "(silent)", "(early)", "(early ok)", "(half)"
PIPELINING = ("PIPELINING", "SIZE 1000000")
_NUMBER = re.compile(r"\+b-([0-9a-f]{16})|reader\.([0-9]+)@")
Script = Callable[[str, int], str | None]
"""What is done at a stage (``greeting``, ``EHLO``, ``MAIL``, ``RCPT``, ``DATA``, ``body``, ``dot``, ``RSET``,
``QUIT``) for the letter of this number (0: none); ``None`` for what is usual."""


def encryption(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate for localhost that this test trusts."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed, so no certificate can be made")
    path, key = folder / "localhost.pem", folder / "localhost.key"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    more = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(path)]
    subprocess.run([*make.split(), *more], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    return context


class Gone(Exception):
    """The client has gone, or is left alone by the script."""


class Host:
    """Listens on 127.0.0.1 and talks to any number of clients at a time, each in a thread.

    ``EARLY`` refuses a message before it has been read, ``EARLY_OK`` takes it, ``HALF`` closes in the middle of it. With ``bytewise`` every
    octet of an answer travels alone. ``watch`` is called with the number of a letter when its message begins.
    """

    def __init__(
        self,
        script: Script | dict[tuple[str, int], str] | None = None,
        extensions: Sequence[str] = PIPELINING,
        tls: ssl.SSLContext | None = None,
        bytewise: bool = False,
        most: int = 1000,
    ) -> None:
        table = script if isinstance(script, dict) else {}
        self.script: Script = script if callable(script) else lambda stage, number: table.get((stage, number))
        self.extensions, self.tls, self.bytewise, self.most = tuple(extensions), tls, bytewise, most
        self.lock = threading.Lock()
        self.commands: list[str] = []
        self.taken: list[tuple[int, bytes]] = []
        """The letters it has taken over, whether or not it could say so."""
        self.lone_dots = self.sessions = self.peak = self.open = 0
        self.usual: dict[str, str] = {}
        """Answers to verbs that are not spelt out below."""
        self.watch: Callable[[int], None] = lambda number: None
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listening.getsockname()[1]
        self.stopping = threading.Event()
        self.connections: set[socket.socket] = set()
        self.threads = [threading.Thread(target=self._serve)]
        self.threads[0].start()

    def stop(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.hang_up()
        for thread in self.threads:
            thread.join(5)
            assert not thread.is_alive()

    def hang_up(self) -> None:
        """Closes every connection."""
        with self.lock:
            open_ones = list(self.connections)
        for one in open_ones:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def verbs(self) -> list[str]:
        with self.lock:
            return [command.split()[0] for command in self.commands]

    def numbers(self) -> list[int]:
        with self.lock:
            return [number for number, _ in self.taken]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._client, args=(connection,))
            self.threads.append(thread)
            thread.start()

    def _client(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.open += 1
            self.peak = max(self.peak, self.open)
            self.sessions += 1
            self.connections.add(connection)
            crowded = self.open > self.most
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(connection)
                with contextlib.suppress(OSError, Gone):
                    if crowded:
                        connection.sendall(b"421 too many connections\r\n")
                        return
                    if self.tls:
                        connection = stack.enter_context(self.tls.wrap_socket(connection, server_side=True))
                    Talk(self, connection).run()
        finally:
            with self.lock:
                self.open -= 1
                self.connections = {one for one in self.connections if one.fileno() >= 0}


class Talk:
    """One client."""

    def __init__(self, host: Host, connection: socket.socket) -> None:
        self.host, self.connection = host, connection
        self.buffer, self.answers = b"", b""
        self.number, self.sender, self.recipients = 0, False, 0

    def run(self) -> None:
        self.answer("greeting", "220 test ready")
        while True:
            line = self.until(b"\r\n").decode()
            with self.host.lock:
                self.host.commands.append(line)
            verb = line.split(" ")[0].upper()
            if found := _NUMBER.search(line):
                self.number = int(found[1], 16) if found[1] else int(found[2])
            if verb in self.host.usual:
                self.say(self.host.usual[verb])
            else:
                getattr(self, f"do_{verb.lower()}")()

    def do_ehlo(self) -> None:
        lines = ["test", *self.host.extensions]
        self.answer(
            "EHLO", "\r\n".join(f"250{'-' if i < len(lines) - 1 else ' '}{x}" for i, x in enumerate(lines))
        )

    def do_mail(self) -> None:
        assert not self.sender, "MAIL within a transaction"
        self.recipients = 0
        self.sender = self.answer("MAIL", "250 2.1.0 Ok").startswith("250")

    def do_rcpt(self) -> None:
        usual = "250 2.1.5 Ok" if self.sender else "503 5.5.1 need MAIL"
        self.recipients += self.answer("RCPT", usual).startswith("25")

    def do_data(self) -> None:
        usual = "354 go ahead" if self.recipients else "503 5.5.1 need RCPT"
        if self.answer("DATA", usual).startswith("354"):
            self.take()

    def do_rset(self) -> None:
        self.sender = False
        self.answer("RSET", "250 2.0.0 Ok")

    def do_quit(self) -> None:
        self.answer("QUIT", "221 bye")
        self.flush()
        raise Gone

    def take(self) -> None:
        number, whole = self.number, bool(self.recipients)
        self.flush()
        first = self.exactly(3)
        if first == b".\r\n":
            with self.host.lock:
                self.host.lone_dots += 1
            assert not whole, "an empty message to somebody"
            self.sender = False
            self.say("554 5.5.1 no valid recipients")
            return
        self.host.watch(number)
        action = self.host.script("body", number)
        if action in (EARLY, EARLY_OK):
            self.say("452 4.3.1 early" if action == EARLY else "250 2.0.0 early")
            self.do(SILENT, "")
        elif action:
            self.do(action, "")
        self.buffer = first + self.buffer
        message = self.until(b"\r\n.\r\n") + b"\r\n"
        self.sender = False
        self.finish(number, message)

    def finish(self, number: int, message: bytes) -> None:
        action = self.host.script("dot", number)
        if (
            action is None
            or action.startswith("250")
            or action in (CUT, RESET, SILENT)
            or action[0] not in "45"
        ):
            with self.host.lock:
                self.host.taken.append((number, message))
        self.do(action, "250 2.0.0 queued as 4F00B4R")

    # --- bytes ---------------------------------------------------------------------------------------

    def answer(self, stage: str, usual: str) -> str:
        return self.do(self.host.script(stage, self.number), usual)

    def do(self, action: str | None, usual: str) -> str:
        if action in (CUT, RESET):
            self.flush()
            if action == RESET:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise Gone
        if action == HALF:
            raise Gone
        if action == SILENT:
            self.flush()
            while self.connection.recv(65536):
                pass
            raise Gone
        self.say(action or usual)
        if action and action.startswith("421"):
            self.flush()
            raise Gone
        return action or usual

    def say(self, text: str) -> None:
        if text:
            self.answers += f"{text}\r\n".encode()

    def flush(self) -> None:
        answers, self.answers = self.answers, b""
        if self.host.bytewise:
            for at in range(len(answers)):
                self.connection.sendall(answers[at : at + 1])
        elif answers:
            self.connection.sendall(answers)

    def more(self) -> None:
        self.flush()  # a server answers a whole group at once
        received = self.connection.recv(65536)
        if not received:
            raise Gone
        self.buffer += received

    def until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            self.more()
        found, _, self.buffer = self.buffer.partition(end)
        return found

    def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self.more()
        found, self.buffer = self.buffer[:count], self.buffer[count:]
        return found


class Ledger:
    """A record that checks what it is told, from whatever thread."""

    def __init__(self, refuse: Iterable[int] = ()) -> None:
        self.lock, self.refuse = threading.Lock(), set(refuse)
        self.begun: list[int] = []
        self.fates: dict[int, Fate] = {}
        self.answers: dict[int, str] = {}

    def begin(self, number: int) -> bool:
        with self.lock:
            assert number not in self.begun and number not in self.fates
            if number in self.refuse:
                return False
            self.begun.append(number)
            return True

    def end(self, number: int, fate: Fate, answer: str) -> None:
        with self.lock:
            assert number not in self.fates, f"{number} was {self.fates[number]} and is {fate} ({answer})"
            self.fates[number], self.answers[number] = fate, answer

    def of(self, fate: Fate) -> list[int]:
        return sorted(number for number, came in self.fates.items() if came is fate)


def adapter(server: Host, **values: Any) -> SubscribersAdapter:
    known = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "sender": "Office <news@example.org>",
        "bounces": "bounces@news.example.org",
        "connections": 1,
        "timeout": 5,
        "answer_timeout": 5,
    }
    return SubscribersAdapter("newsletter", SubscribersSettings(**{**known, **values}))


async def groups(letters: Iterable[Letter], size: int = 5) -> AsyncIterator[Sequence[Letter]]:
    listed = list(letters)
    for at in range(0, len(listed), size):
        yield listed[at : at + size]


PAYLOAD = build(variant(), letterhead())


async def mailed(
    server: Host, count: int | Sequence[Letter] = 6, ledger: Ledger | None = None, **values: Any
) -> Ledger:
    """Sends letters 1 to ``count`` and checks what must hold whatever happens."""
    letters = [letter(n) for n in range(1, count + 1)] if isinstance(count, int) else list(count)
    ledger = ledger or Ledger()
    server.watch = lambda number: begun_before(ledger, number)
    try:
        await adapter(server, **values).mail(PAYLOAD, groups(letters), ledger)
    finally:
        settled(server, ledger, letters)
    return ledger


def begun_before(ledger: Ledger, number: int) -> None:
    with ledger.lock:
        assert number in ledger.begun, f"{number} has not begun"


def settled(host: Host, ledger: Ledger, letters: Sequence[Letter]) -> None:
    """Every letter has one fate, and it is true."""
    taken = host.numbers()
    assert len(set(taken)) == len(taken), "a letter went out twice"
    assert set(ledger.fates) <= {one.number for one in letters}
    for number, fate in ledger.fates.items():
        if fate is Fate.SENT:
            assert number in taken
        elif fate is not Fate.UNKNOWN:
            assert number not in taken, (number, fate)
        else:
            assert number in ledger.begun
    assert set(taken) <= {
        number for number, fate in ledger.fates.items() if fate in (Fate.SENT, Fate.UNKNOWN)
    }
