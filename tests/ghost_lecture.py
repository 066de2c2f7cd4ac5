"""What a Ghost channel gets of the sample announcement, with pictures, for its tests."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date
from typing import Any

from PIL import Image as Drawing

from channels.ghost import GhostAdapter, GhostPayload
from publisher import pictures
from publisher.announcement import Bilingual, Image
from publisher.channel import Links, Variant
from publisher.render import links
from publisher.render.variant import Edition, render_all
from publisher.testing import sample

KEY = "2026-0042-r1-ghost-both"
ALT = Bilingual("河流", "A river")


def variant_of(
    adapter: GhostAdapter,
    number: int = 1,
    colours: tuple[str, ...] = (),
    where: Links | None = None,
    **changes: Any,
) -> Variant:
    """The variant of revision ``number`` with a picture a colour; ``where`` is the canonical page, else Ghost's own."""
    kept = [pictures.keep(_drawn(colour), f"{colour}.png", "lecture.md") for colour in colours]
    images = tuple(Image("x.png", ALT, one.sha256, 0) for one in kept)
    revision = replace(sample.revision(number), images=images, **changes)
    originals = {one.sha256: one.data for one in kept}
    (variant,) = render_all(
        revision, Edition(sample.KEY, number, date(2026, 9, 20)), adapter, None, originals
    )
    return links.fill(variant, where or adapter.links(sample.KEY))


def payload_of(adapter: GhostAdapter, *args: Any, **values: Any) -> GhostPayload:
    """The same, as the adapter's request."""
    return adapter.prepare(variant_of(adapter, *args, **values))


def _drawn(colour: str) -> bytes:
    out = io.BytesIO()
    Drawing.new("RGB", (240, 160), colour).save(out, "PNG")
    return out.getvalue()
