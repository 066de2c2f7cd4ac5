"""Seals: an approver's signature on a revision and on the bytes of all its variants."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Insert, Row, Select, bindparam, insert, select

from publisher.announcement import Bilingual, Language
from publisher.channel import Kind, MediaType, Part, Picture, PictureFormat, Variant
from publisher.errors import PublisherError
from publisher.store.pictures import Pictures
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

    def __init__(self, connection: Connection, pictures: Pictures) -> None:
        self._connection, self._pictures = connection, pictures

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
            self._pictures.add(variant.pictures)
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
        query = select(variants.c.id).where(variants.c.seal_id == seal_id).order_by(variants.c.id)
        ids = list(self._connection.scalars(query))
        return [(id_, sealed) for id_, sealed in zip(ids, map(_intact, self._read(ids)), strict=True)]

    def variant(self, variant_id: int) -> Variant:
        """One sealed variant. Raises :class:`PublisherError` where its bytes are not those that were signed."""
        return _intact(self._read([variant_id])[0])

    def of_ids(self, ids: Sequence[int]) -> Mapping[int, Variant | PublisherError]:
        """Sealed variants by id; the error for one whose bytes are not those that were signed."""
        asked = sorted(set(ids))
        return dict(zip(asked, self._read(asked), strict=True))

    def _read(self, ids: Sequence[int]) -> list[Variant | PublisherError]:
        """The variants of ``ids``, which are all there, in the order of the ids."""
        rows = self._connection.execute(_SEALED, {"ids": ids}).all()
        found: dict[int, list[Row[Any]]] = {row.id: [] for row in rows}
        for part in self._connection.execute(_PARTS, {"ids": ids}):
            found[part.variant_id].append(part)
        return [self._checked(row, found[row.id]) for row in rows]

    def _checked(self, row: Row[Any], found: Sequence[Row[Any]]) -> Variant | PublisherError:
        try:
            made = {part.name: _part(part, row.announcement) for part in found}
            languages = tuple(Language(code) for code in row.languages.split(","))
            sealed = Variant(row.channel, Kind(row.kind), row.announcement, row.number, languages, made)
            return self._with_pictures(sealed)
        except PublisherError as error:
            return error

    def _with_pictures(self, sealed: Variant) -> Variant:
        # A variant that was sealed before pictures were published has no list of them.
        described = sealed.facts.get("pictures", []) if "facts" in sealed.parts else []
        if not described:
            return sealed
        data = self._pictures.data(one["sha256"] for one in described)
        return replace(sealed, pictures=tuple(_picture(one, data[one["sha256"]]) for one in described))


_SEALED: Select[Any] = (
    select(variants, revisions.c.announcement, revisions.c.number)
    .join(seals, seals.c.id == variants.c.seal_id)
    .join(revisions, revisions.c.id == seals.c.revision_id)
    .where(variants.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(variants.c.id)
)
_PARTS: Select[Any] = select(parts).where(parts.c.variant_id.in_(bindparam("ids", expanding=True)))


def _picture(described: Mapping[str, Any], data: bytes) -> Picture:
    fields = {**described, "format": PictureFormat(described["format"]), "alt": Bilingual(**described["alt"])}
    return Picture(**fields, data=data)


def _intact(sealed: Variant | PublisherError) -> Variant:
    if isinstance(sealed, PublisherError):
        raise sealed
    return sealed


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
