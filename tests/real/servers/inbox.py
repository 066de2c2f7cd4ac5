"""What has arrived, as its readers have it: whole messages, read over IMAP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser

from imap_tools import MailBoxUnencrypted

_VERIFIER = "mx.readers.example"
_SERVERS_OWN = re.compile(
    rb"(?:(?:return-path|x-original-to|delivered-to|authentication-results|received):.*\n(?:[ \t].*\n)*)+",
    re.I,
)
_DELIVERED = re.compile(rb"^Delivered-To: (.*?)\r?$", re.M)
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


def read(port: int, mailbox: str, password: str) -> Iterator[Received]:
    """All that is in a mailbox of the Dovecot at ``port``, in the order of its arrival."""
    with MailBoxUnencrypted("127.0.0.1", port).login(mailbox, password, "INBOX") as box:
        uids = box.uids()
        for first in range(0, len(uids), _CHUNK):
            _, found = box.client.uid("FETCH", ",".join(uids[first : first + _CHUNK]), "(BODY.PEEK[])")
            yield from (_received(item[1]) for item in found if isinstance(item, tuple))


def _received(raw: bytes) -> Received:
    found = _DELIVERED.search(raw)
    return Received(found[1].decode() if found else "", raw)
