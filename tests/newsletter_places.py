"""The lecture as a newsletter that leaves open what a service fills in, for the tests of services."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from publisher.channel import Adapter, Variant
from publisher.render.links import READER, UNSUBSCRIBE
from publisher.testing import sample

KEY = "2026-0042-r1-newsletter-both"


def open_variant(adapter: Adapter[Any, Any], number: int = 1, index: int = 0, **parts: str) -> Variant:
    """Revision ``number``, with places for the reader where the templates have none; ``parts`` are put behind."""
    variant = sample.variants(adapter, number)[index]
    if UNSUBSCRIBE not in variant.text("html"):
        foot = f'<p>{READER}: <a href="{UNSUBSCRIBE}">unsubscribe</a></p>'
        variant = changed(variant, "html", variant.text("html").replace("</body>", f"{foot}</body>"))
        variant = changed(variant, "text", f"{variant.text('text')}\n{READER}\n{UNSUBSCRIBE}\n")
    for name, text in parts.items():
        whole = variant.text(name)
        put = whole.replace("</body>", f"{text}</body>") if name == "html" else whole.rstrip("\n") + text
        variant = changed(variant, name, put)
    return variant


def changed(variant: Variant, name: str, text: str) -> Variant:
    """``variant`` with another text in one of its parts."""
    part = replace(variant.parts[name], data=text.encode())
    return replace(variant, parts={**variant.parts, name: part})


def as_read(text: str, reader: str, unsubscribe: str) -> str:
    """What a reader is to get of ``text``."""
    return text.replace(UNSUBSCRIBE, unsubscribe).replace(READER, reader)
