"""Subscriber, consent, suppression: plain frozen data. Knows nothing else of the product."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Reading(StrEnum):
    """What a subscriber reads: one language, or both in one message."""

    ZH = "zh"
    EN = "en"
    BOTH = "both"


class SubscriberState(StrEnum):
    """Whether a subscriber gets anything."""

    PENDING = "pending"
    """Has been asked to confirm, and has not yet."""
    ACTIVE = "active"
    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    """The mailbox does not exist, or refused too often."""
    COMPLAINED = "complained"
    """Has reported a newsletter as spam."""


class Suppression(StrEnum):
    """Why nothing may be sent to an address, whoever brings it in again."""

    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    REMOVED = "removed"
    """Deleted on request."""


@dataclass(frozen=True, slots=True)
class Consent:
    """That a person wants the newsletter: when she said so (aware, or unknown), how, and to which words."""

    at: datetime | None = None
    how: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One person on the lists.

    ``id`` is the store's number, 0 before it is stored; ``ref`` 16 hexadecimal digits that stay for ever;
    ``address`` as she wrote it, ``normal`` as addresses are compared; ``lists`` names in small letters.
    """

    address: str
    normal: str
    name: str = ""
    reading: Reading = Reading.BOTH
    lists: tuple[str, ...] = ()
    state: SubscriberState = SubscriberState.ACTIVE
    consent: Consent = Consent()
    source: str = ""
    id: int = 0
    ref: str = ""
    created_at: datetime | None = None
