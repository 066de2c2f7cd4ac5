"""Delivery status notifications as RFC 3464 has them, those for international addresses (RFC 6533), and broken ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import Message

from publisher.bounces import parts
from publisher.bounces.meaning import Meaning, classify, codes
from publisher.bounces.report import MILDEST_FIRST, OF_MEANING, Kind, shortened

TYPES = ("message/delivery-status", "message/global-delivery-status")
_DONE = {"delivered", "relayed", "expanded"}
_ESCAPED = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")  # RFC 6533, section 3
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


@dataclass(frozen=True, slots=True)
class Recipient:
    """What became of one recipient; ``address`` is as we wrote it, where the report still knows that."""

    kind: Kind
    status: str
    said: str
    address: str | None


def recipients(message: Message) -> list[Recipient]:
    """What a report says of each recipient; empty for a message that is no such report, or says nothing."""
    groups = [group for part in parts.of_type(message, *TYPES) for group in parts.blocks(part)]
    return [one for group in groups if (one := _recipient(group)) is not None]


def mildest(found: Sequence[Recipient]) -> Recipient:
    """The one that counts.

    A letter goes to one subscriber; a report about several names those to whom she has it forwarded, and what has
    reached one of them has reached her.
    """
    return min(found, key=lambda one: MILDEST_FIRST.index(one.kind))


def _recipient(group: Mapping[str, str]) -> Recipient | None:
    who = group.get("original-recipient") or group.get("final-recipient") or group.get("x-actual-recipient")
    action = group.get("action", "").split(" ")[0].strip("();,").lower()
    written = _STATUS.search(group.get("status", ""))
    diagnostic = group.get("diagnostic-code", "")
    if not who and not (action or written):
        return None  # the group about the message as a whole
    code, enhanced = codes(diagnostic)
    said_status = written[0] if written else ""
    # A relay often says 5.0.0 of what the next server gave a better code for.
    status = enhanced or said_status
    kind = _kind(action, said_status, classify(code, status, diagnostic))
    return Recipient(
        kind, status or (str(code) if code else ""), shortened(_words(diagnostic)), _address(who)
    )


def _kind(action: str, status: str, meant: Meaning) -> Kind:
    if action in _DONE or (not action and status.startswith("2.")):
        return Kind.DELIVERED
    if action.startswith("delay"):
        return Kind.DELAYED
    if meant is not Meaning.DELAYED:
        return OF_MEANING[meant]
    # Given up on for good, after a reply that was only for now: the mailbox may well be there.
    return Kind.SOFT if action or status.startswith("5.") else Kind.DELAYED


def _words(diagnostic: str) -> str:
    """The diagnostic without its type: ``smtp; 550 …`` or ``X-Postfix; …``."""
    kind, semicolon, words = diagnostic.partition(";")
    return words.strip() if semicolon and re.fullmatch(r"[\w-]+", kind.strip()) else diagnostic


def _address(field: str | None) -> str | None:
    """The address of ``rfc822; li@example.org`` or ``utf-8; …``, of which some write only the second half."""
    if not field:
        return None
    written = field.rpartition(";")[2].strip().strip("<>").strip()
    written = _ESCAPED.sub(lambda found: chr(min(int(found[1], 16), 0x10FFFF)), written)
    return written if "@" in written else None
