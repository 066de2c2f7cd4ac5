"""Receipts as the JSON they are stored as."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from publisher.channel import Links, Outcome, Receipt

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


def to_json(receipt: Receipt | None) -> str:
    """Empty for no receipt."""
    if receipt is None:
        return ""
    links = receipt.links
    raw = {
        "outcome": receipt.outcome,
        "id": receipt.id,
        "links": _links_to(links) if links else None,
        "code": receipt.code,
        "at": receipt.at.isoformat() if receipt.at else None,
        "raw": receipt.raw,
    }
    return _encode(raw)


def _links_to(links: Links) -> dict[str, Any]:
    return {"both": links.both, "zh": links.zh, "en": links.en, "pictures": list(links.pictures)}


def _links_from(raw: dict[str, Any]) -> Links:
    """Receipts of earlier versions know no pictures."""
    return Links(raw["both"], raw["zh"], raw["en"], tuple(raw.get("pictures", ())))


def from_json(text: str) -> Receipt | None:
    """What :func:`to_json` wrote."""
    if not text:
        return None
    raw = json.loads(text)
    return Receipt(
        outcome=Outcome(raw["outcome"]),
        id=raw["id"],
        links=_links_from(raw["links"]) if raw["links"] else None,
        code=raw["code"],
        at=datetime.fromisoformat(raw["at"]) if raw["at"] else None,
        raw=raw["raw"],
    )
