"""The newsletter by SMTP passes the conformance kit: it cannot be asked, changed or taken back, and says so."""

from __future__ import annotations

import socket
from pathlib import Path

from channels.smtp import SmtpAdapter, SmtpSettings
from publisher.testing.bench import ACTED
from publisher.testing.conformance import AdapterConformance, Step, Trouble
from tests.test_smtp_failures import DROP, HANG, Gone, Scripted

PASSWORD = "pä55-wörd-授权码"
LATE = "(late)"
SCRIPTS = {
    Trouble.UNAVAILABLE: {"greeting": "421 busy"},
    Trouble.REJECTED: {"RCPT": "550 5.1.1 no such user"},
    Trouble.SIGN_IN_REFUSED: {"AUTH": f"535 5.7.8 not with {PASSWORD}"},
    Trouble.THROTTLED: {"RCPT": "450 4.7.1 too many messages"},
    Trouble.LOST_BEFORE: {"body": DROP},
    Trouble.LOST_AFTER: {"dot": DROP},
    Trouble.SILENT: {"dot": HANG},
    Trouble.LATE: {"body": LATE},
}
"""What the mail server does in each trouble, by the verb it answers."""


class Belated(Scripted):
    """A mail server that can also take a message only once the client has given up waiting."""

    def _take(self, connection: socket.socket) -> None:
        if self.script.get("body") != LATE:
            super()._take(connection)
            return
        message = self._read_until(connection, b"\r\n.\r\n") + b"\r\n"
        while connection.recv(100):
            pass
        self.messages.append(message)
        self.reached.set()
        raise Gone


class TestSmtp(AdapterConformance):
    """The suite, over a mail server that follows a script."""

    def start(self, folder: Path) -> None:
        self.server = Belated({"AUTH": "235 welcome"}, extensions=("AUTH PLAIN",))
        self.secrets = (PASSWORD,)

    def stop(self) -> None:
        self.server.stop()

    def adapter(self, patience: float) -> SmtpAdapter:
        reach = {"host": "127.0.0.1", "port": self.server.port, "security": "none"}
        people = {"sender": "Office <news@example.org>", "to": "list@example.org"}
        signed = {"username": "office", "password": PASSWORD}
        settings = SmtpSettings(**reach, **people, **signed, timeout=patience, answer_timeout=patience)
        return SmtpAdapter("newsletter", settings)

    def count(self) -> int:
        return len(self.server.messages)

    def asked(self) -> int:
        return self.server.verbs.count("DATA")

    def inject(self, trouble: Trouble, step: Step) -> None:
        self.server.script |= SCRIPTS[trouble]

    def settle(self) -> None:
        assert self.server.reached.wait(5)


def test_troubles__all_are_scripted() -> None:
    """Every trouble of the kit is one a mail server can have."""
    assert set(SCRIPTS) == set(Trouble) >= ACTED
