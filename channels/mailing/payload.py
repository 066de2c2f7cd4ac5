"""From a sealed variant to everything a mailing needs to compose its letters. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from channels.mailing.composer import Composer
from channels.mailing.letterhead import Letterhead
from publisher.channel import Payload, Variant


@dataclass(frozen=True)
class MailingPayload(Payload):
    """A mailing but for its readers."""

    letterhead: Letterhead

    @cached_property
    def composer(self) -> Composer:
        """What composes the letters; made once."""
        return Composer(self.letterhead)


def build(variant: Variant, letterhead: Letterhead) -> MailingPayload:
    """What is the same in all letters of ``variant``. Raises :class:`~publisher.channel.Unsupported`."""
    raise NotImplementedError
