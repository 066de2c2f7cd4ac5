"""Files in the media library: each is uploaded once, and found again by its slug."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from channels.wordpress.payload import Upload
from channels.wordpress.site import Site
from publisher.channel import Unavailable


@dataclass(frozen=True, slots=True)
class Stored:
    """A file on the site."""

    id: int
    address: str
    alt: str


async def store(site: Site, uploads: Iterable[Upload]) -> dict[str, Stored]:
    """Where each file is, by its stem; what is not there yet is uploaded, and what it shows is written down."""
    wanted = {one.stem: one for one in uploads}
    there = await find(site, wanted)
    for stem, upload in wanted.items():
        if stem not in there:
            there[stem] = await _upload(site, upload)
        if upload.alt and there[stem].alt != upload.alt:
            described = {"alt_text": upload.alt, "title": upload.title}
            await site.prepare("POST", f"/media/{there[stem].id}", json=described)
    return there


async def find(site: Site, stems: Iterable[str]) -> dict[str, Stored]:
    """The files that are there, by their stems."""
    if not (slugs := ",".join(stems)):
        return {}
    data = await site.get("/media", slug=slugs, per_page="100", _fields="id,slug,source_url,alt_text")
    if not isinstance(data, list):
        raise Unavailable(f"{site.host} could not list its files; nothing is public yet.")
    return {str(one["slug"]): found for one in data if (found := _stored(one))}


async def _upload(site: Site, upload: Upload) -> Stored:
    headers = {
        "Content-Type": upload.media_type,
        "Content-Disposition": f'attachment; filename="{upload.stem}{upload.ending}"',
        "Content-MD5": hashlib.md5(upload.data, usedforsecurity=False).hexdigest(),
    }
    found = _stored(await site.prepare("POST", "/media", content=upload.data, headers=headers))
    if found is None:
        raise Unavailable(f"{site.host} did not say where it keeps a file; nothing is public yet.")
    return found


def _stored(data: Any) -> Stored | None:
    if not isinstance(data, dict) or not isinstance(data.get("id"), int):
        return None
    where = data.get("source_url")
    if not isinstance(where, str) or not where.startswith(("https://", "http://")):
        return None
    return Stored(data["id"], where, str(data.get("alt_text") or ""))
