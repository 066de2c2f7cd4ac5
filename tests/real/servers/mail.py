"""Real mail servers: Postfix takes mail in, OpenDKIM verifies it, Dovecot shows over IMAP what came to whom.

All of it listens on 127.0.0.1 and keeps its files in one folder, in memory where there is enough. Postfix and Dovecot
are started by root only. For Debian 12: Postfix 3.7, Dovecot 2.3, OpenDKIM 2.11.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from pathlib import Path

from imap_tools import MailBoxUnencrypted

from tests.real import cache, certificate
from tests.real.process import Process, scratch

READERS = "readers.example"
"""Everybody has a mailbox here, but those whose names begin with ``unknown``: they are refused with 550 5.1.1.

``busy...`` is refused with 450 4.2.1, ``full...`` with 552 5.2.2 and ``blocked...`` with 554 5.7.1.
"""
OFFICE = "office.example"
"""The office's own domain, for its bounce addresses: every name has a mailbox."""
FORWARDED = "forwarded.example"
"""Mail to it is taken over and then refused by the next server with 550 5.1.1: the sender gets a report.

``full...`` and ``blocked...`` are refused as above; ``slow...`` stays in the queue.
"""
USER, PASSWORD = "newsletter@office.example", "Yunling-by-the-river-2026"
"""Who may send through the two ports that ask for a sign-in."""

_ETC = Path(__file__).with_name("mail_etc")
_OWNER = "5000"
"""Whose all mailboxes are; a number is enough, there need not be such a user."""
_ROOM = 2 << 30
"""Bytes that the queue and the mailboxes of 50,000 messages may take."""
_PASSWORD = "test"
_VERIFIER = "mx.readers.example"
_SERVERS_OWN = re.compile(
    rb"(?:(?:return-path|x-original-to|delivered-to|authentication-results|received):.*\n(?:[ \t].*\n)*)+",
    re.I,
)
_DELIVERED = re.compile(rb"^Delivered-To: (.*?)\r?$", re.M)
_LOGGED = re.compile(r"postfix\S*/\w+\[\d+\]: (\w+): ")
_PAUSE = 0.02
"""Seconds between two looks whether mail has arrived."""
_GRACE = 0.05
"""Seconds to leave before they are killed: they would take one to five, and what they have taken over is on disk."""
_CHUNK = 500
"""How many messages one IMAP command asks for."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message as its reader has it; ``recipient`` is whose it is (Delivered-To), ``raw`` all of its bytes."""

    recipient: str
    raw: bytes = field(repr=False)

    @property
    def sent(self) -> bytes:
        """The message without what the servers put before it: from the first header that is not theirs."""
        theirs = _SERVERS_OWN.match(self.raw)
        return self.raw[theirs.end() :] if theirs else self.raw

    @property
    def verdict(self) -> str:
        """What OpenDKIM found: its Authentication-Results, unfolded, without its own name."""
        found = BytesHeaderParser().parsebytes(self.raw).get_all("Authentication-Results", [])
        ours = (str(value).partition(";")[2] for value in found if str(value).startswith(_VERIFIER))
        return " ".join(next(ours, "").split())


class MailServer:
    """Postfix, OpenDKIM and Dovecot, running.

    ``port`` takes mail from anybody for the domains above, with STARTTLS where it is wished; ``submission`` wants
    STARTTLS and a sign-in, ``smtps`` is TLS from the first byte and wants a sign-in; ``imap`` is Dovecot's. ``ca`` is
    the authority by which their certificate, for localhost and 127.0.0.1, is to be checked.
    """

    host = "localhost"

    def __init__(self, **options: str) -> None:
        """Starts them; ``options`` are Postfix's own, over those in main.cf.

        Raises ``RuntimeError`` or :class:`~tests.real.cache.InstallError`.
        """
        if os.getuid() != 0:
            raise cache.InstallError("Postfix and Dovecot can be started by root only.")
        self.folder, self.started = scratch("mail", _ROOM), 0.0
        self._etc, self._maillog = self.folder / "etc", self.folder / "log" / "maillog"
        self.port, self.submission, self.smtps, self.imap, self._elsewhere = _ports(5)
        self._table = cache.run("postconf", ["postconf", "-dh", "default_database_type"]).strip()
        self._running: dict[str, Process] = {}
        self._answered = 0
        began = time.monotonic()
        try:
            self._configure(options)
            self._start()
        except BaseException:
            self.stop()
            raise
        self.started = round(time.monotonic() - began, 2)

    def _configure(self, options: Mapping[str, str]) -> None:
        for name in ("etc", "spool", "data", "mail", "dovecot", "log", "verifier"):
            (self.folder / name).mkdir()
        shutil.chown(self.folder / "data", "postfix")
        shutil.chown(self.folder / "verifier", "opendkim")
        shutil.chown(self.folder / "mail", int(_OWNER), int(_OWNER))
        words = {
            "FOLDER": self.folder, "SMTP": self.port, "SUBMISSION": self.submission, "SMTPS": self.smtps,
            "IMAP": self.imap, "ELSEWHERE": self._elsewhere, "USER": _OWNER,
            "TABLE": self._table,
        }  # fmt: skip
        for file in _ETC.iterdir():
            text = file.read_text(encoding="utf-8")
            for word, value in words.items():
                text = text.replace(f"@{word}@", str(value))
            (self._etc / file.name).write_text(text, encoding="utf-8")
        self._option(options)
        self.ca = certificate.write(self._etc)
        accounts = {"readers": _PASSWORD, "office": _PASSWORD, USER: PASSWORD}
        (self._etc / "users").write_text(
            "".join(f"{name}:{{PLAIN}}{word}\n" for name, word in accounts.items())
        )
        (self._etc / "keys").touch()
        self.answer({})

    def _option(self, options: Mapping[str, str]) -> None:
        with (self._etc / "main.cf").open("a", encoding="utf-8") as main:
            main.writelines(f"{name} = {value}\n" for name, value in options.items())
        os.utime(
            main.name, (0, 0)
        )  # Postfix would wait two seconds to see whether someone is still writing it

    def _start(self) -> None:
        self._run("dovecot", ["dovecot", "-F", "-c", str(self._etc / "dovecot.conf")])
        self._start_opendkim()
        self._running["dovecot"].wait_until((self.folder / "auth").exists)
        self.start_postfix()
        self._running["dovecot"].wait_until(lambda: _listens(self.imap))

    def _start_opendkim(self) -> None:
        self._run("opendkim", ["opendkim", "-f", "-x", str(self._etc / "opendkim.conf")])
        self._running["opendkim"].wait_until(lambda: _verifies(self.folder / "verifier" / "socket"))

    def _run(self, name: str, command: list[str]) -> None:
        self._running[name] = Process(command, self.folder / "log" / f"{name}.out", grace=_GRACE)

    def start_postfix(self) -> None:
        """Starts Postfix, again where it was stopped: with what is in its queue, at the same ports."""
        cache.run("postfix check", ["postfix", "-c", str(self._etc), "check"])  # makes the queue's folders
        # Not detached (-d), so that it and all its children end with this process.
        self._run("postfix", ["/usr/lib/postfix/sbin/master", "-c", str(self._etc), "-d"])
        self._running["postfix"].wait_until(lambda: _listens(self.port))

    def stop_postfix(self) -> None:
        """Ends Postfix within an instant, as a machine goes down: connections are lost in the middle."""
        self._running.pop("postfix").stop()

    def stop(self) -> None:
        """Ends the servers and removes all files. May be called twice."""
        with ThreadPoolExecutor() as together:
            list(together.map(Process.stop, self._running.values()))
        self._running.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- What the servers say -----------------------------------------------------------------------

    def answer(self, answers: Mapping[str, str]) -> None:
        """From the next connection on, Postfix answers to these recipients so, as in ``450 4.7.1 Try again later``.

        Whoever was named before and is not now is taken again.
        """
        table = self._etc / "answers"
        table.write_text("".join(f"{who} {text}\n" for who, text in answers.items()), encoding="utf-8")
        cache.run("postmap", ["postmap", "-c", str(self._etc), f"{self._table}:{table}"])
        # Postfix sees by its time, in whole seconds, that a table is another one.
        self._answered += 1
        os.utime(table, (0, 0))
        for made in self._etc.glob("answers.*"):
            os.utime(made, (self._answered, self._answered))

    def publish_keys(self, keys: Mapping[str, str]) -> None:
        """OpenDKIM knows these keys and no others: ``{"sel._domainkey.office.example": "v=DKIM1; k=rsa; p=..."}``."""
        text = "".join(f"{name} {value}\n" for name, value in keys.items())
        (self._etc / "keys").write_text(text, encoding="ascii")
        self._running.pop("opendkim").stop()
        self._start_opendkim()

    # --- What has arrived ---------------------------------------------------------------------------

    def mail(self, mailbox: str = "readers") -> Iterator[Received]:
        """All that is in a mailbox, ``readers`` or ``office``, read over IMAP in the order of its arrival."""
        with MailBoxUnencrypted("127.0.0.1", self.imap).login(mailbox, _PASSWORD, "INBOX") as box:
            uids = box.uids()
            for first in range(0, len(uids), _CHUNK):
                _, found = box.client.uid("FETCH", ",".join(uids[first : first + _CHUNK]), "(BODY.PEEK[])")
                yield from (_received(item[1]) for item in found if isinstance(item, tuple))

    def arrived(self, mailbox: str = "readers") -> int:
        """How many messages are in a mailbox."""
        folders = (self.folder / "mail" / mailbox / part for part in ("new", "cur"))
        return sum(len(os.listdir(folder)) for folder in folders if folder.is_dir())

    def wait_for(self, count: int, mailbox: str = "readers", timeout: float = 30.0) -> list[Received]:
        """The messages of a mailbox, once there are ``count``. Raises ``TimeoutError``, with the end of the log."""
        deadline = time.monotonic() + timeout
        while self.arrived(mailbox) < count:
            if time.monotonic() > deadline:
                end = self._maillog.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise TimeoutError(f"{self.arrived(mailbox)} of {count} messages are in {mailbox}. {end}")
            time.sleep(_PAUSE)
        return list(self.mail(mailbox))

    def log(self, message_id: str) -> list[str]:
        """Postfix's log about the message of this Message-ID, reports about it included: one line an event."""
        lines = self._maillog.read_text(encoding="utf-8", errors="replace").splitlines()
        queued = {_queue_id(line) for line in lines if f"message-id=<{message_id.strip('<>')}>" in line}
        return [line for line in lines if _queue_id(line) in queued]

    def queued(self) -> int:
        """How many messages are in Postfix's queue, those that are being delivered included."""
        return len(cache.run("postqueue", ["postqueue", "-c", str(self._etc), "-j"]).splitlines())

    def flush(self) -> None:
        """Lets Postfix try everything again that it could not deliver."""
        cache.run("postqueue", ["postqueue", "-c", str(self._etc), "-f"])

    def _emptied(self) -> bool:
        """Whether the queue is empty now that all was taken out of it; a message that moved meanwhile may be left."""
        with contextlib.suppress(cache.InstallError):
            cache.run("postsuper", ["postsuper", "-c", str(self._etc), "-d", "ALL"])
            return self.queued() == 0
        return False

    def reset(self) -> None:
        """Empty mailboxes, an empty queue, an empty log, nobody answered in a way of his own."""
        self._running["postfix"].wait_until(self._emptied)
        for mailbox in (self.folder / "mail").iterdir():
            shutil.rmtree(mailbox)
        if self._maillog.exists():
            os.truncate(self._maillog, 0)
        self.answer({})
        self.publish_keys({})


def _ports(count: int) -> list[int]:
    """So many free ports, all different."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _verifies(path: Path) -> bool:
    """Whether OpenDKIM answers the first packet of the milter protocol: it listens once before it does in earnest."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        probe.connect(str(path))
        probe.sendall(b"\0\0\0\x0dO" + struct.pack("!III", 6, 0x1FF, 0x1FFFFF))
        return bool(probe.recv(5))
    return False


def _received(raw: bytes) -> Received:
    found = _DELIVERED.search(raw)
    return Received(found[1].decode() if found else "", raw)


def _queue_id(line: str) -> str:
    """The queue's name of the message a line of the log is about: the second word with a colon after the process."""
    found = _LOGGED.search(line)
    return found[1] if found else ""
