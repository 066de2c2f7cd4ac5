"""A mail server on this machine that files every message into a real Maildir, as a delivery agent does."""

from __future__ import annotations

import asyncio
import email
import email.policy
import mailbox
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from publisher.channel import Double

SENDER = "announcements@example.org"
RECIPIENT = "newsletter@example.org"


class _Server(Controller):
    """A controller on a socket that is bound already, so that nobody can take the port in between."""

    def __init__(self, handler: object, bound: socket.socket) -> None:
        host, port = bound.getsockname()
        super().__init__(handler, hostname=host, port=port, server_hostname="localhost")
        self._bound = bound

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._bound)


class _Filing:
    """Takes every message and files it, the envelope kept in the headers that delivery agents use."""

    def __init__(self, maildir: Path) -> None:
        self._maildir = maildir

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Answers 250 only when the message is on the disk."""
        name = await asyncio.to_thread(self._file, envelope)
        return f"250 2.0.0 Ok: filed as {name}"

    def _file(self, envelope: Envelope) -> str:
        head = [f"Return-Path: <{envelope.mail_from}>", *(f"Delivered-To: {to}" for to in envelope.rcpt_tos)]
        content = envelope.content
        assert isinstance(content, bytes)
        message = "\n".join([*head, ""]).encode() + content.replace(b"\r\n", b"\n")
        return mailbox.Maildir(self._maildir, create=True).add(message)


class SmtpDouble(Double):
    """A mail server without accounts or encryption; messages lie in ``Maildir`` in its folder."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.maildir = Path(folder) / "Maildir"
        self._server: _Server | None = None

    def start(self) -> Mapping[str, str]:
        """Listens; the settings name a sender and a recipient too, so that they make a complete channel."""
        self.maildir.parent.mkdir(parents=True, exist_ok=True)
        mailbox.Maildir(self.maildir, create=True)
        self._server = _Server(_Filing(self.maildir), socket.create_server(("127.0.0.1", 0)))
        self._server.start()
        return {
            "HOST": "127.0.0.1",
            "PORT": str(self._server.port),
            "SECURITY": "none",
            "SENDER": SENDER,
            "TO": RECIPIENT,
        }

    def stop(self) -> None:
        """Stops listening; safe to call twice."""
        if self._server:
            self._server.stop()
            self._server = None

    def received(self) -> list[str]:
        """Subject and path of each message, in the order of their arrival."""
        files = sorted(
            (self.maildir / "new").glob("*"), key=lambda file: (file.stat().st_mtime_ns, file.name)
        )
        return [f"{_subject(file)} ({file})" for file in files]


def _subject(file: Path) -> str:
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    return str(message["Subject"] or "")
