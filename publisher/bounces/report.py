"""What one message that came back says: plain frozen data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from publisher.bounces.meaning import Meaning

LONGEST_SAID = 300
"""Characters of a server's words that are kept."""
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:=@]{1,128}@((?:[\w-]{1,63}\.){1,9}[\w-]{1,63})")


class Kind(StrEnum):
    """What came back, and so what follows from it."""

    HARD = "hard"
    """There is no such mailbox."""
    SOFT = "soft"
    """The mailbox could not take it."""
    POLICY = "policy"
    """Refused because of us or of the message: the person's subscription is not touched."""
    DELAYED = "delayed"
    """Not delivered yet, and still being tried."""
    COMPLAINT = "complaint"
    """A reader has reported the newsletter as spam."""
    UNSUBSCRIBE = "unsubscribe"
    DELIVERED = "delivered"
    """A server says that it did deliver it."""
    AUTOMATIC = "automatic"
    """Somebody is on holiday, or has read it: nothing follows."""
    OWN = "own"
    """A newsletter of ours that has come back to ourselves."""
    UNKNOWN = "unknown"
    """For a person to look at."""


MILDEST_FIRST = (Kind.DELIVERED, Kind.DELAYED, Kind.POLICY, Kind.SOFT, Kind.HARD)
OF_MEANING = {
    Meaning.HARD: Kind.HARD,
    Meaning.SOFT: Kind.SOFT,
    Meaning.POLICY: Kind.POLICY,
    Meaning.THROTTLED: Kind.POLICY,
    Meaning.DELAYED: Kind.DELAYED,
}


@dataclass(frozen=True, slots=True)
class Report:
    """One message that came back, read.

    ``status`` is an enhanced status code such as ``5.1.1``, else a reply code such as ``550``, else "". ``said`` is one
    line of the server's own words, without addresses; of what nobody understood, its subject. ``token`` and
    ``unsubscribe`` are the tokens found, whose signatures nobody has checked yet; ``address`` is whom it is about,
    and ``message_id`` that of the newsletter it is about, where they are named.
    """

    kind: Kind
    status: str = ""
    said: str = ""
    token: str | None = None
    unsubscribe: str | None = None
    address: str | None = None
    message_id: str | None = None


def shortened(text: str) -> str:
    """``text`` on one line, short enough to keep, with nobody's address but its domain."""
    line = " ".join(_ADDRESS.sub(r"…@\1", text).split())
    return line if len(line) <= LONGEST_SAID else f"{line[: LONGEST_SAID - 1]}…"
