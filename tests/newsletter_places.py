"""The lecture as a newsletter that leaves open what a service fills in, for the tests of services."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from publisher.channel import Adapter, Variant
from publisher.render.links import READER, UNSUBSCRIBE
from publisher.testing import sample
from publisher.testing.exchange import Cut, Endless, Fault, Stall, Trickle, Truncated, Where

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


def whole(faults: tuple[Fault, ...]) -> list[Fault]:
    """Those of ``faults`` that leave an answer without a body as it is: they come behind its head."""
    return [fault for fault in faults if _is_behind(fault) and not _is_reset(fault)]


def lost(faults: tuple[Fault, ...]) -> list[Fault]:
    """Those that do not. A reset behind the head is neither: it may overtake the head, or not."""
    return [fault for fault in faults if not _is_behind(fault)]


def _is_behind(fault: Fault) -> bool:
    if isinstance(fault, Cut | Stall | Trickle):
        return fault.after in (Where.BODY, Where.MIDDLE)
    return isinstance(fault, Truncated | Endless)


def _is_reset(fault: Fault) -> bool:
    return isinstance(fault, Cut) and fault.reset
