"""The mail server of the newsletter's demo: every subscriber's letter is filed into one real Maildir."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Mapping
from pathlib import Path

from channels.doubles.smtp import SENDER, SmtpDouble


class MailingDouble(SmtpDouble):
    """A mail server without accounts or encryption, in whose ``Maildir`` lie the letters of all subscribers."""

    def start(self) -> Mapping[str, str]:
        """Listens; the settings name a sender and a list, so that they make a complete channel."""
        reach = {name: value for name, value in super().start().items() if name != "TO"}
        domain = SENDER.rpartition("@")[2]
        return {**reach, "BOUNCES": f"bounces@{domain}", "LIST_ID": f"announcements.{domain}"}

    def received(self) -> list[str]:
        """Recipient, subject and path of each letter, in the order of their arrival."""
        files = sorted(
            (self.maildir / "new").glob("*"), key=lambda file: (file.stat().st_mtime_ns, file.name)
        )
        return [f"{_heading(file)} ({file})" for file in files]


def _heading(file: Path) -> str:
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    return f"{message['Delivered-To']}: {message['Subject'] or ''}"
