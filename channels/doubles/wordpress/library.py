"""Categories, tags and files of the site.

As ``class-wp-rest-terms-controller.php`` and ``class-wp-rest-attachments-controller.php`` of WordPress 6.5 do.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from channels.doubles.wordpress.answers import Refused
from publisher.testing.exchange import Request

_TYPES = {
    "jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif", "ics": "text/calendar",
    "pdf": "application/pdf",
}  # fmt: skip


class Terms:
    """One kind of terms."""

    def __init__(self, first: Mapping[str, str], start: int) -> None:
        self._terms: list[dict[str, Any]] = []
        self._next = start
        for name, slug in first.items():
            self.create({"name": name, "slug": slug})

    def search(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """By slug, or by a part of the name as it is kept."""
        words = query.get("search", "").lower()
        slug = query.get("slug")
        return [
            term for term in self._terms
            if words in term["name"].lower() and (slug is None or term["slug"] == slug)
        ]  # fmt: skip

    def create(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """A new term. Raises :class:`Refused` for one that exists, which is said with its number."""
        name = html.escape(str(wanted.get("name", "")).strip(), quote=False)
        if not name:
            raise Refused("rest_missing_callback_param", "Missing parameter(s): name", 400)
        given = str(wanted.get("slug") or "")
        slug = given or _slug(html.unescape(name))
        same = [term for term in self._terms if term["name"] == name and (not given or term["slug"] == given)]
        if same:
            message = "A term with the name provided already exists with this parent."
            raise Refused("term_exists", message, 400, term_id=same[0]["id"])
        while any(term["slug"] == slug for term in self._terms):
            slug += "-2"
        term = {"id": self._next, "name": name, "slug": slug, "count": 0}
        self._next += 1
        self._terms.append(term)
        return term


class Files:
    """The media library; its files are in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = ""
        self.all: list[dict[str, Any]] = []

    def search(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """By slugs."""
        slugs = query["slug"].split(",") if "slug" in query else None
        return [one for one in reversed(self.all) if slugs is None or one["slug"] in slugs]

    def upload(self, request: Request, number: int) -> dict[str, Any]:
        """A new file. Raises :class:`Refused`."""
        name = re.search(r'filename="?([^";]+)"?', request.headers.get("content-disposition", ""))
        if not name:
            raise Refused("rest_upload_no_content_disposition", "No Content-Disposition supplied.", 400)
        digest = hashlib.md5(request.body, usedforsecurity=False).hexdigest()
        if request.headers.get("content-md5", digest) != digest:
            raise Refused("rest_upload_hash_mismatch", "Content hash did not match expected.", 412)
        stem, _, ending = name[1].rpartition(".")
        if ending not in _TYPES:
            message = "Sorry, you are not allowed to upload this file type."
            raise Refused("rest_upload_sideload_error", message, 500)
        slug = stem.lower()
        while any(one["slug"] == slug for one in self.all):
            slug += "-1"
        (self._folder / f"{slug}.{ending}").write_bytes(request.body)
        found = {
            "id": number, "slug": slug, "status": "inherit", "alt_text": "", "title": {"raw": slug, "rendered": slug},
            "mime_type": _TYPES[ending], "source_url": f"{self.url}/wp-content/uploads/{slug}.{ending}",
        }  # fmt: skip
        self.all.append(found)
        return found

    def describe(self, number: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """A file with its alternative text and its title."""
        found = next((one for one in self.all if str(one["id"]) == number), None)
        if found is None:
            raise Refused("rest_post_invalid_id", "Invalid post ID.", 404)
        if "alt_text" in wanted:
            found["alt_text"] = " ".join(str(wanted["alt_text"]).split())
        if "title" in wanted:
            found["title"] = {"raw": wanted["title"], "rendered": wanted["title"]}
        return found

    def read(self, name: str) -> tuple[bytes, str] | None:
        """A file's bytes and type, by its name."""
        path = self._folder / Path(name).name
        return (path.read_bytes(), _TYPES[path.suffix[1:]]) if path.is_file() else None


def _slug(name: str) -> str:
    return quote(re.sub(r"[^\w]+", "-", name.lower()).strip("-"), safe="-").lower()[:200]
