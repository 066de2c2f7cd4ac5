"""From a sealed variant to everything a mailing needs to compose its letters. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from channels.mailing.composer import Composer
from channels.mailing.letterhead import Letterhead
from channels.mailing.sheet import Sheet, sheets
from publisher.channel import Payload, Variant


@dataclass(frozen=True)
class MailingPayload(Payload):
    """A mailing but for its readers: ``sheets`` by scope. ``issue`` begins the Message-ID of each of its letters."""

    letterhead: Letterhead
    issue: str
    sheets: Mapping[str, Sheet] = field(repr=False)

    @cached_property
    def composer(self) -> Composer:
        """What composes the letters; made once."""
        return Composer(self.letterhead, self.sheets, self.issue)


def build(variant: Variant, letterhead: Letterhead) -> MailingPayload:
    """What is the same in all letters of ``variant``.

    Raises :class:`~publisher.channel.Unsupported` for a subject no header can hold and a link that is still open.
    """
    issue = f"{variant.key}.r{variant.revision}.{variant.channel}"
    return MailingPayload(letterhead, issue, sheets(variant, letterhead))
