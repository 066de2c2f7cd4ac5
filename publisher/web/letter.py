"""The letter in which a person confirms her subscription."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from publisher.channel import Variant
from publisher.render import house
from publisher.render.confirmation import confirmation as render
from publisher.subscriber import Subscriber
from publisher.web.outbox import Rendered


def confirmation(channel: str, office: Path | None) -> Rendered:
    """What renders the letter for ``channel``."""

    def rendered(subscriber: Subscriber, url: str) -> Variant:
        letter = render(subscriber.reading, house.load(office), url, channel, office)
        # Each its own Message-ID, or mail programs do not show the second one.
        return replace(letter, key=f"confirm-{secrets.token_hex(4)}")

    return rendered
