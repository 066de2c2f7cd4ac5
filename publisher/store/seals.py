"""Seals: an approver's signature on a revision and on the bytes of all its variants."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Insert, Row, Select, insert, select

from publisher.announcement import Language
from publisher.channel import Kind, MediaType, Part, Variant
from publisher.errors import PublisherError
from publisher.store.schema import parts, revisions, seals, variants


@dataclass(frozen=True, slots=True)
class Seal:
    """The signature: who, when, and a hash over the content and every sealed byte."""

    id: int
    approver: str
    canonical: str
    hash: str
    at: datetime


def seal_hash(content_hash: str, canonical: str, sealed: Sequence[Variant]) -> str:
    """SHA-256, in hex, over the content's hash and the hash of every part, in a fixed order."""
    lines = [content_hash, canonical]
    for variant in sealed:
        for name in sorted(variant.parts):
            part = variant.parts[name]
            digest = hashlib.sha256(part.data).hexdigest()
            lines.append(json.dumps([variant.channel, variant.scope, name, part.media_type, digest]))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class Seals:
    """Writes a seal once and reads it back; sealed bytes are checked against their hash whenever they are read."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(
        self,
        revision_id: int,
        content_hash: str,
        approver: str,
        canonical: str,
        sealed: Sequence[Variant],
        at: datetime,
    ) -> str:
        """Seals ``sealed``; returns the seal's hash."""
        digest = seal_hash(content_hash, canonical, sealed)
        seal_id = self._inserted(
            insert(seals).values(
                revision_id=revision_id, approver=approver, canonical=canonical, hash=digest, at=at
            )
        )
        for variant in sealed:
            variant_id = self._inserted(
                insert(variants).values(
                    seal_id=seal_id,
                    channel=variant.channel,
                    kind=variant.kind,
                    languages=",".join(variant.languages),
                )
            )
            self._connection.execute(insert(parts), [_row(variant_id, p) for p in variant.parts.values()])
        return digest

    def _inserted(self, statement: Insert) -> int:
        key = self._connection.execute(statement).inserted_primary_key
        assert key is not None
        return int(key[0])

    def of(self, revision_id: int) -> Seal | None:
        """The seal of a revision, if it has one."""
        row = self._connection.execute(select(seals).where(seals.c.revision_id == revision_id)).first()
        return Seal(row.id, row.approver, row.canonical, row.hash, row.at) if row else None

    def variants(self, seal_id: int) -> list[tuple[int, Variant]]:
        """The sealed variants with their ids, in the order they were sealed."""
        query = _sealed().where(variants.c.seal_id == seal_id).order_by(variants.c.id)
        return [(row.id, self._variant(row)) for row in self._connection.execute(query).all()]

    def variant(self, variant_id: int) -> Variant:
        """One sealed variant. Raises :class:`PublisherError` where its bytes are not those that were signed."""
        return self._variant(self._connection.execute(_sealed().where(variants.c.id == variant_id)).one())

    def _variant(self, row: Row[Any]) -> Variant:
        query = select(parts).where(parts.c.variant_id == row.id)
        found = {p.name: _part(p, row.announcement) for p in self._connection.execute(query)}
        languages = tuple(Language(code) for code in row.languages.split(","))
        return Variant(row.channel, Kind(row.kind), row.announcement, row.number, languages, found)


def _sealed() -> Select[Any]:
    return (
        select(variants, revisions.c.announcement, revisions.c.number)
        .join(seals, seals.c.id == variants.c.seal_id)
        .join(revisions, revisions.c.id == seals.c.revision_id)
    )


def _row(variant_id: int, part: Part) -> dict[str, object]:
    return {
        "variant_id": variant_id,
        "name": part.name,
        "media_type": str(part.media_type),
        "data": part.data,
        "sha256": hashlib.sha256(part.data).hexdigest(),
    }


def _part(row: Row[Any], announcement: str) -> Part:
    if hashlib.sha256(row.data).hexdigest() != row.sha256:
        raise PublisherError(
            f"The sealed bytes of {announcement} ({row.name}) have been changed; approve a new revision."
        )
    return Part(row.name, MediaType(row.media_type), bytes(row.data))
