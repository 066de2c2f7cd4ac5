"""What each failure of a mail server means, stage by stage, against a real server that follows a script."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from channels.smtp import MailPayload, SmtpAdapter, SmtpSettings
from channels.smtp.wire import transparent
from publisher.channel import (
    DeliveryError,
    Outcome,
    OutcomeUnknown,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
)

PAYLOAD = MailPayload("news@example.org", ("list@example.org",), b"Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n")
THREE = MailPayload(
    "news@example.org", ("a@example.org", "b@example.org", "c@example.org"), b"Subject: x\r\n\r\nx\r\n"
)
DROP, HANG, FLOOD, DRIP, SLOW = "(drop)", "(hang)", "(flood)", "(drip)", "(slow)"


class Gone(Exception):
    """The client has gone, or is left alone by the script."""


class Scripted:
    """A mail server that answers each command by a script, and keeps what it was told.

    ``script`` has a reply, or a list of them to use in turn, by verb; "greeting" and "dot" are the server's first
    word and its answer to the message, "body" what it does while that is on its way; DROP closes the connection, HANG says nothing, FLOOD never stops, DRIP never finishes a line, SLOW takes half a second.
    """

    def __init__(
        self, script: dict[str, Any], extensions: tuple[str, ...] = (), tls: ssl.SSLContext | None = None
    ):
        self.script = {
            key: list(value) if isinstance(value, list) else value for key, value in script.items()
        }
        self.extensions, self.tls = extensions, tls
        self.commands: list[str] = []
        self.messages: list[bytes] = []
        self.reached, self.gone, self.stopped = threading.Event(), threading.Event(), threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join(5)
        assert not self.thread.is_alive()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            connection.settimeout(5)
            try:
                self._talk(connection)
            except (OSError, Gone):
                pass
            finally:
                self.gone.set()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if self.tls and "STARTTLS" not in self.extensions:
                connection = stack.enter_context(self._encrypted(connection))
            self.buffer = b""
            self._say(connection, self._answer("greeting", "220 test ready"))
            while True:
                line = self._read_until(connection, b"\r\n").decode()
                self.commands.append(line)
                verb = line.split(" ")[0].upper()
                answer = self._answer(verb, self._default(verb))
                self._say(connection, answer)
                if verb == "QUIT":
                    return
                if verb == "STARTTLS" and answer.startswith("220") and self.tls:
                    connection = stack.enter_context(self._encrypted(connection))
                    self.extensions = tuple(e for e in self.extensions if e != "STARTTLS")
                if verb == "DATA" and answer.startswith("354"):
                    self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        if self.script.get("body") == DROP:
            connection.recv(10)
            raise Gone
        self.messages.append(self._read_until(connection, b"\r\n.\r\n") + b"\r\n")
        self.reached.set()
        self._say(connection, self._answer("dot", "250 2.0.0 queued as ABC"))

    def _default(self, verb: str) -> str:
        answers = {"EHLO": self._hello(), "STARTTLS": "220 go", "DATA": "354 go ahead", "QUIT": "221 bye"}
        return answers.get(verb, "250 ok")

    def _encrypted(self, connection: socket.socket) -> socket.socket:
        assert self.tls
        try:
            return self.tls.wrap_socket(connection, server_side=True)
        except OSError:
            connection.close()
            raise

    def _hello(self) -> str:
        lines = ["test", *self.extensions]
        return "\r\n".join(f"250{'-' if i < len(lines) - 1 else ' '}{line}" for i, line in enumerate(lines))

    def _answer(self, key: str, default: str) -> str:
        found = self.script.get(key, default)
        if isinstance(found, list):
            return str(found.pop(0)) if found else default
        return str(found)

    def _say(self, connection: socket.socket, answer: str) -> None:
        if answer == DROP:
            raise Gone
        if answer == HANG:
            # Until the client gives up; what it still says is of no interest.
            while connection.recv(4096):
                pass
            raise Gone
        if answer == FLOOD:
            while True:
                connection.sendall(b"250-and so on\r\n" * 100)
        if answer == SLOW:
            self.stopped.wait(0.5)
            answer = "250 2.0.0 queued at last"
        if answer == DRIP:
            while not self.stopped.wait(0.02):
                connection.sendall(b"2")
        connection.sendall(answer.encode() + b"\r\n")

    def _read_until(self, connection: socket.socket, end: bytes) -> bytes:
        while end not in self.buffer:
            received = connection.recv(65536)
            if not received:
                raise Gone
            self.buffer += received
        found, _, self.buffer = self.buffer.partition(end)
        return found

    @property
    def verbs(self) -> list[str]:
        return [command.split(" ")[0].upper() for command in self.commands]


Start = Callable[..., Scripted]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts scripted servers; all are stopped at the end."""
    servers: list[Scripted] = []

    def started(script: dict[str, Any] | None = None, **kwargs: Any) -> Scripted:
        servers.append(Scripted(script or {}, **kwargs))
        return servers[-1]

    yield started
    for server in servers:
        server.stop()


def adapter(server: Scripted, **values: Any) -> SmtpAdapter:
    known = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": "none",
        "sender": "Office <news@example.org>",
        "to": "list@example.org",
        "timeout": 0.25,
        "answer_timeout": 0.25,
    }
    return SmtpAdapter("newsletter", SmtpSettings(**{**known, **values}))


CERTAIN: list[tuple[str, Any, type[DeliveryError], str]] = [
    ("greeting", "554 go away", SignInFailed, "554 go away"),
    ("greeting", "421 busy", Unavailable, "421 busy"),
    ("greeting", DROP, Unavailable, "broke the conversation off"),
    ("greeting", HANG, Unavailable, "timed out"),
    ("greeting", DRIP, Unavailable, ""),
    ("greeting", FLOOD, Unavailable, ""),
    ("greeting", "HTTP/1.1 400 Bad Request", Unavailable, "no SMTP reply"),
    ("EHLO", "550 no", SignInFailed, "550 no"),
    ("EHLO", "451 later", Unavailable, "451 later"),
    ("EHLO", DROP, Unavailable, ""),
    ("EHLO", "250-one\r\n550 two", Unavailable, "no SMTP reply"),
    ("MAIL", "451 greylisted", Unavailable, "news@example.org"),
    ("MAIL", "530 5.7.0 sign in first", SignInFailed, "USERNAME"),
    ("MAIL", "552 too large", Rejected, "552 too large"),
    ("MAIL", "550 Sender frequency limited", Throttled, "wait"),
    ("MAIL", DROP, Unavailable, ""),
    ("RCPT", "450 4.2.0 greylisted", Unavailable, "list@example.org"),
    ("RCPT", "452 4.3.1 disk full", Unavailable, "452"),
    ("RCPT", "421 closing", Unavailable, ""),
    ("RCPT", "450 4.7.1 too many messages", Throttled, ""),
    ("RCPT", "550 5.1.1 no such user", Rejected, "list@example.org (550 5.1.1 no such user)"),
    ("RCPT", "550 Domain frequency limited", Throttled, "Domain frequency limited"),
    ("RCPT", HANG, Unavailable, "timed out"),
    ("DATA", "451 not now", Unavailable, "451 not now"),
    ("DATA", "554 no valid recipients", Rejected, "554"),
    ("DATA", "250 what", Unavailable, "250 what"),
    ("DATA", DROP, Unavailable, "nothing was sent"),
    ("DATA", "354 go\r\n250 queued", Unavailable, "out of turn"),
]


@pytest.mark.parametrize(("verb", "reply", "error", "said"), CERTAIN, ids=[f"{c[0]}-{c[1]}" for c in CERTAIN])
async def test_publish__before_the_message(
    start: Start, verb: str, reply: str, error: type[DeliveryError], said: str
) -> None:
    """Until the first byte of the message every failure is certain, is named for what to do, and sends nothing."""
    server = start({verb: reply})
    with pytest.raises(DeliveryError) as caught:
        await adapter(server).publish(PAYLOAD, "k1")
    assert type(caught.value) is error
    assert said in str(caught.value)
    assert server.messages == []


UNKNOWN = [
    DROP,
    HANG,
    FLOOD,
    DRIP,
    "garbage",
    "354 go on",
    "220 hello",
    "250-",
    "5",
    "600 no",
    "250-a\r\n451 b",
]


@pytest.mark.parametrize("reply", UNKNOWN)
async def test_publish__no_clear_word_after_the_message(start: Start, reply: str) -> None:
    """Once the message has left, all but an explicit reply leaves the outcome unknown."""
    server = start({"dot": reply})
    with pytest.raises(OutcomeUnknown):
        await adapter(server).publish(PAYLOAD, "k1")
    assert len(server.messages) == 1


async def test_publish__cut_in_the_middle_of_the_message(start: Start) -> None:
    """A connection lost while the message is on its way leaves the outcome unknown."""
    server = start({"body": DROP})
    big = MailPayload(
        "news@example.org", ("list@example.org",), b"x" * 76 + b"\r\n" + b"y" * 20_000_000 + b"\r\n"
    )
    with pytest.raises(OutcomeUnknown):
        await adapter(server, answer_timeout=5).publish(big, "k1")


REFUSED: list[tuple[str, type[DeliveryError]]] = [
    ("451 4.3.0 try later", Unavailable),
    ("452 4.3.1 no space", Unavailable),
    ("554 5.7.1 spam", Rejected),
    ("550 Mail frequency limited", Throttled),
    ("421 4.7.0 too many messages", Throttled),
]


@pytest.mark.parametrize(("reply", "error"), REFUSED)
async def test_publish__explicit_refusal_of_the_message(
    start: Start, reply: str, error: type[DeliveryError]
) -> None:
    """An explicit 4yz or 5yz to the message is certain: the server must not deliver it."""
    with pytest.raises(DeliveryError) as caught:
        await adapter(start({"dot": reply})).publish(PAYLOAD, "k1")
    assert type(caught.value) is error
    assert reply in str(caught.value)


@pytest.mark.parametrize("farewell", ["221 bye", "554 no", DROP, "garbage"])
async def test_publish__quit_changes_nothing(start: Start, farewell: str) -> None:
    """Whatever the server says to QUIT, an accepted message stays accepted, with the server's last word kept."""
    receipt = await adapter(start({"QUIT": farewell})).publish(PAYLOAD, "2026-0042-newsletter")
    assert receipt.outcome is Outcome.ACCEPTED
    assert receipt.id == "<2026-0042-newsletter@example.org>"
    assert (receipt.code, receipt.raw) == ("250", "2.0.0 queued as ABC")


async def test_publish__same_id_every_time(start: Start) -> None:
    """Two attempts at one delivery carry the same Message-ID, and dots at line starts arrive as they were."""
    server = start()
    for _ in range(2):
        await adapter(server).publish(PAYLOAD, "k1")
    ids = [re.search(rb"(?m)^Message-ID: (.*)\r$", message) for message in server.messages]
    assert [found and found[1] for found in ids] == [b"<k1@example.org>"] * 2
    assert all(
        re.match(rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\r\n", m) for m in server.messages
    )
    assert server.messages[0].endswith(b"\r\n\r\n..dot\r\n...\r\nend\r\n")


async def test_publish__all_or_nobody(start: Start) -> None:
    """One recipient refused for good: nothing goes to anybody, and only that address is named."""
    server = start({"RCPT": ["250 ok", "550 5.1.1 no such user", "450 later"]})
    with pytest.raises(Rejected, match=r"b@example\.org \(550 5\.1\.1") as caught:
        await adapter(server).publish(THREE, "k1")
    assert "c@example.org" not in str(caught.value)
    assert server.verbs == ["EHLO", "MAIL", "RCPT", "RCPT", "RCPT", "RSET", "QUIT"]


async def test_publish__one_recipient_later(start: Start) -> None:
    """One recipient refused for now: nothing goes to anybody, and the delivery is tried again."""
    server = start({"RCPT": ["250 ok", "450 greylisted", "251 will forward"]})
    with pytest.raises(Unavailable, match=r"b@example\.org"):
        await adapter(server).publish(THREE, "k1")
    assert "DATA" not in server.verbs


async def test_publish__nobody_listens() -> None:
    """A refused connection is certain, and the server is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = SmtpSettings(
        host="127.0.0.1", port=port, security="none", sender="a@example.org", to="b@example.org"
    )
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port} cannot be reached"):
        await SmtpAdapter("newsletter", settings).publish(PAYLOAD, "k1")


async def test_publish__slow_drip_ends_in_time(start: Start) -> None:
    """A server that answers a byte at a time is given no more than the time limit as a whole."""
    server = start({"dot": DRIP})
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        await adapter(server).publish(PAYLOAD, "k1")
    assert time.monotonic() - began < 2


async def test_publish__flood_ends_early(start: Start) -> None:
    """A reply without end is not read, and kept in memory, for as long as the time limit allows."""
    server = start({"dot": FLOOD})
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown, match="does not end"):
        await adapter(server, answer_timeout=60).publish(PAYLOAD, "k1")
    assert time.monotonic() - began < 5


async def test_publish__last_word_may_take_longer(start: Start) -> None:
    """The last word has a time limit of its own, since to give up there too early means a second copy."""
    server = start({"dot": SLOW})
    receipt = await adapter(server, answer_timeout=10).publish(PAYLOAD, "k1")
    assert receipt.raw == "2.0.0 queued at last"


async def test_publish__cancelled(start: Start) -> None:
    """A cancelled attempt closes its connection at once: no thread is left waiting."""
    server = start({"dot": HANG})
    attempt = asyncio.create_task(adapter(server, answer_timeout=600).publish(PAYLOAD, "k1"))
    await asyncio.to_thread(server.reached.wait, 5)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert await asyncio.to_thread(server.gone.wait, 2)


async def test_publish__size_is_announced(start: Start) -> None:
    """Where the server knows SIZE it is told the size beforehand, so that it can refuse before the message."""
    server = start(extensions=("SIZE 1000000",))
    await adapter(server).publish(PAYLOAD, "k1")
    size = re.fullmatch(r"MAIL FROM:<news@example.org> SIZE=(\d+)", server.commands[1])
    assert size and int(size[1]) > len(PAYLOAD.message)


# --- check ---------------------------------------------------------------------------------------


async def test_check__asks_without_a_message(start: Start) -> None:
    """A check goes as far as the first recipient and no further."""
    server = start(extensions=("AUTH PLAIN",), script={"AUTH": "235 welcome"})
    said = await adapter(server, username="u", password="p", to="list@example.org, other@example.org").check()
    assert server.verbs == ["EHLO", "AUTH", "MAIL", "RCPT", "RSET", "QUIT"]
    assert said == (
        f"127.0.0.1:{server.port} (none, signed in as u) takes mail from news@example.org to list@example.org."
    )


async def test_check__errors_are_the_same(start: Start) -> None:
    """A check that fails says what a publication would have said."""
    with pytest.raises(Rejected, match=r"the recipient list@example\.org"):
        await adapter(start({"RCPT": "550 no"})).check()
    with pytest.raises(Unavailable):
        await adapter(start({"greeting": "421 busy"})).check()


# --- sign-in -------------------------------------------------------------------------------------

PASSWORD = "pä55-wörd-授权码"
ENCODED = base64.b64encode(PASSWORD.encode()).decode()


async def test_sign_in__plain(start: Start) -> None:
    """PLAIN is preferred, and names and passwords in any script arrive as they are (RFC 4616)."""
    server = start(extensions=("AUTH LOGIN PLAIN",), script={"AUTH": "235 ok"})
    await adapter(server, username="büro", password=PASSWORD).publish(PAYLOAD, "k1")
    assert base64.b64decode(server.commands[1].removeprefix("AUTH PLAIN ")).decode() == f"\0büro\0{PASSWORD}"


@pytest.mark.parametrize("offer", ["AUTH LOGIN", "AUTH=LOGIN", "AUTH XOAUTH2 LOGIN"])
async def test_sign_in__login(start: Start, offer: str) -> None:
    """Where only LOGIN is offered, it is used."""
    user, password = (base64.b64encode(word.encode()).decode() for word in ("me", "secret"))
    server = start(
        extensions=(offer,),
        script={"AUTH": "334 VXNlcm5hbWU6", user.upper(): "334 UGFzc3dvcmQ6", password.upper(): "235 ok"},
    )
    await adapter(server, username="me", password="secret").publish(PAYLOAD, "k1")
    assert server.commands[1:4] == ["AUTH LOGIN", user, password]


SIGN_IN: list[tuple[str, type[DeliveryError]]] = [
    ("535 5.7.8 Error: authentication failed", SignInFailed),
    ("534 5.7.9 mechanism too weak", SignInFailed),
    ("500 what", SignInFailed),
    ("454 4.7.0 temporary authentication failure", Unavailable),
    ("421 closing", Unavailable),
    ("550 Login frequency limited", Throttled),
]


@pytest.mark.parametrize(("reply", "error"), SIGN_IN)
async def test_sign_in__refused(start: Start, reply: str, error: type[DeliveryError]) -> None:
    """A refused password is for the administrator; a server that cannot tell just now is for later."""
    server = start(extensions=("AUTH PLAIN",), script={"AUTH": reply})
    with pytest.raises(DeliveryError) as caught:
        await adapter(server, username="u", password="p").publish(PAYLOAD, "k1")
    assert type(caught.value) is error


async def test_sign_in__secret_never_shows(start: Start) -> None:
    """Neither the password nor its encoding is in an error, even where the server repeats them."""
    token = base64.b64encode(f"\0u\0{PASSWORD}".encode()).decode()
    server = start(extensions=("AUTH PLAIN",), script={"AUTH": f"535 refused {token} {ENCODED} {PASSWORD}"})
    one = adapter(server, username="u", password=PASSWORD)
    with pytest.raises(SignInFailed) as caught:
        await one.publish(PAYLOAD, "k1")
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(one.settings)
    assert not any(secret in shown for secret in (PASSWORD, ENCODED, token))
    assert "newsletter" in str(caught.value)


async def test_sign_in__not_offered(start: Start) -> None:
    """A server without a password sign-in is refused before anything secret is said."""
    server = start(extensions=("AUTH XOAUTH2",))
    with pytest.raises(SignInFailed, match="no sign-in with a password"):
        await adapter(server, username="u", password="p").publish(PAYLOAD, "k1")
    assert server.verbs == ["EHLO", "RSET", "QUIT"]


# --- encryption ----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody has signed, made for this run."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed, so no certificate can be made")
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(
        [*command, "-keyout", str(path) + ".key", "-out", str(path)], check=True, capture_output=True
    )
    return path


def server_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, str(certificate) + ".key")
    return context


async def test_starttls__trusted(start: Start, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With STARTTLS the password is said only after encryption, and extensions are asked for anew."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = start(
        extensions=("STARTTLS", "AUTH PLAIN"), tls=server_context(certificate), script={"AUTH": "235 ok"}
    )
    one = adapter(
        server, host="localhost", security="starttls", username="u", password="p", timeout=5, answer_timeout=5
    )
    receipt = await one.publish(PAYLOAD, "k1")
    assert receipt.code == "250"
    assert server.verbs[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]


async def test_tls__trusted(start: Start, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TLS everything is encrypted from the first byte."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = start(tls=server_context(certificate))
    one = adapter(server, host="localhost", security="tls", timeout=5, answer_timeout=5)
    assert (await one.publish(PAYLOAD, "k1")).code == "250"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_encryption__certificate_not_trusted(start: Start, certificate: Path, security: str) -> None:
    """A certificate that nobody vouches for ends the attempt before a name, a password or an address is said."""
    extensions = ("STARTTLS", "AUTH PLAIN") if security == "starttls" else ("AUTH PLAIN",)
    server = start(extensions=extensions, tls=server_context(certificate))
    one = adapter(server, host="localhost", security=security, username="u", password="p", timeout=5)
    with pytest.raises(Unavailable, match=r"certificate of localhost:\d+ cannot be trusted"):
        await one.publish(PAYLOAD, "k1")
    assert set(server.verbs) <= {"EHLO", "STARTTLS"}


async def test_encryption__certificate_of_another_host(
    start: Start, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted certificate for another name is no better."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = start(tls=server_context(certificate))
    with pytest.raises(Unavailable, match="cannot be trusted"):
        await adapter(server, host="127.0.0.1", security="tls", timeout=5).publish(PAYLOAD, "k1")


async def test_starttls__not_offered(start: Start) -> None:
    """A server, or someone in between, that offers no STARTTLS gets neither password nor message."""
    server = start(extensions=("AUTH PLAIN",))
    with pytest.raises(SignInFailed, match="offers no STARTTLS"):
        await adapter(server, security="starttls", username="u", password="p").publish(PAYLOAD, "k1")
    assert server.verbs == ["EHLO", "RSET", "QUIT"]


async def test_starttls__words_before_encryption(start: Start) -> None:
    """Replies slipped in before the handshake are not taken for the server's."""
    server = start(extensions=("STARTTLS",), script={"STARTTLS": "220 go\r\n250 injected"})
    with pytest.raises(Unavailable, match="out of turn"):
        await adapter(server, security="starttls").publish(PAYLOAD, "k1")


async def test_starttls__later(start: Start) -> None:
    """A 454 to STARTTLS is for later."""
    with pytest.raises(Unavailable, match="454"):
        await adapter(
            start({"STARTTLS": "454 no TLS now"}, extensions=("STARTTLS",)), security="starttls"
        ).check()


def test_transparent__ends_once() -> None:
    """The data of a message ends in one final dot, with or without a last line break in the message."""
    assert transparent(b".\r\na\r\n") == b"..\r\na\r\n.\r\n"
    assert transparent(b"a") == b"a\r\n.\r\n"
