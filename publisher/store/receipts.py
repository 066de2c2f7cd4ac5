"""Receipts as the JSON they are stored as."""

from __future__ import annotations

import json
from datetime import datetime

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
        "links": {"both": links.both, "zh": links.zh, "en": links.en} if links else None,
        "code": receipt.code,
        "at": receipt.at.isoformat() if receipt.at else None,
        "raw": receipt.raw,
    }
    return _encode(raw)


def from_json(text: str) -> Receipt | None:
    """What :func:`to_json` wrote."""
    if not text:
        return None
    raw = json.loads(text)
    return Receipt(
        outcome=Outcome(raw["outcome"]),
        id=raw["id"],
        links=Links(**raw["links"]) if raw["links"] else None,
        code=raw["code"],
        at=datetime.fromisoformat(raw["at"]) if raw["at"] else None,
        raw=raw["raw"],
    )
