"""What is made anew at every publication: index pages, feeds, sitemap and style sheet. Pure: records in, bytes out.

Sources: RFC 4287 (Atom), jsonfeed.org version 1.1, sitemaps.org 0.9 with ``xhtml:link`` for translations.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from channels.static_site.record import Record
from publisher.announcement import Language
from publisher.render import house as house_style
from publisher.render.environment import render
from publisher.render.house import House

FEED_LENGTH = 30
SITEMAP = "sitemap.xml"


@dataclass(frozen=True)
class Site:
    """The site around the announcements: its address, which ends with a slash, and its languages in order."""

    base: str
    languages: tuple[Language, ...]
    office: Path | None = None

    def files(self, entries: list[Record]) -> dict[str, bytes]:
        """Every file by its path, the sitemap last: what it lists is on the index and in the feeds.

        Raises :class:`~publisher.errors.PublisherError` for a template or a house style that cannot be used.
        """
        house = house_style.load(self.office)
        texts = {"site.css": render("website/site.css", self.office, house=house)}
        texts |= {"index.html": self._index(self.languages, "", entries, house)}
        for code in self.languages:
            texts[f"{code}/index.html"] = self._index((code,), "../", entries, house)
            told = [entry for entry in entries if code in entry.content][:FEED_LENGTH]
            texts[f"{code}/feed.xml"] = self._atom(code, told, house)
            texts[f"{code}/feed.json"] = self._json_feed(code, told, house)
        texts[SITEMAP] = self._sitemap(entries, house)
        return {path: text.encode() for path, text in texts.items()}

    def notice(self, record: Record, scope: str) -> bytes:
        """The page that takes the place of ``record``'s page of ``scope``: it has been withdrawn.

        Raises as :meth:`files` does.
        """
        own = [code for code in self.languages if code == scope]
        house = house_style.load(self.office)
        text = render(
            "website/withdrawn.html",
            self.office,
            house=house,
            lang=_tags(house),
            key=record.key,
            scope=scope,
            languages=(*own, *(code for code in self.languages if code not in own)),
            channel_languages=self.languages,
            layout="paired" if "both" in record.pages else "separate",
        )
        return text.encode()

    def _index(self, shown: tuple[Language, ...], root: str, entries: list[Record], house: House) -> str:
        own = f"{shown[0]}/"
        return render(
            "website/index.html",
            self.office,
            house=house,
            lang=_tags(house),
            languages=shown,
            channel_languages=self.languages,
            root=root,
            # A site in one language has its index at two addresses; the one of the language counts.
            here=self.base + ("" if len(shown) > 1 else own),
            alternates=self._alternates({**{str(c): f"{c}/" for c in self.languages}, "both": ""}, house),
            entries=[entry for entry in entries if any(entry.page(code, shown) for code in shown)],
        )

    def _atom(self, code: Language, entries: list[Record], house: House) -> str:
        return render(
            "website/feed.xml",
            self.office,
            house=house,
            lang=_tags(house),
            code=code,
            id=identity(f"{self.base}{code}/feed"),
            here=f"{self.base}{code}/feed.xml",
            home=f"{self.base}{code}/",
            base=self.base,
            entries=entries,
            updated=max((entry.updated for entry in entries), default="1970-01-01T00:00:00Z"),
        )

    def _json_feed(self, code: Language, entries: list[Record], house: House) -> str:
        items = [
            {
                "id": entry.ids[code],
                "url": self.base + entry.pages[code],
                "title": entry.title[code],
                "content_html": entry.content[code],
                "summary": entry.excerpt[code],
                "date_published": entry.published,
                "date_modified": entry.updated,
                "tags": entry.tags[code],
                "language": house.tag(code),
                "_announcement": {"key": entry.key, "revision": entry.revision},
            }
            for entry in entries
        ]
        feed = {
            "version": "https://jsonfeed.org/version/1.1",
            "title": house.name[code],
            "home_page_url": f"{self.base}{code}/",
            "feed_url": f"{self.base}{code}/feed.json",
            "language": house.tag(code),
            "authors": [{"name": house.name[code]}],
            "items": items,
        }
        return json.dumps(feed, ensure_ascii=False, indent=1)

    def _sitemap(self, entries: list[Record], house: House) -> str:
        homes = {str(code): f"{code}/" for code in self.languages}
        if len(self.languages) > 1:
            homes["both"] = ""
        pages = [
            {
                "address": self.base + path,
                "updated": updated,
                "alternates": self._alternates(paths, house),
            }
            for paths, updated in [(homes, ""), *((entry.pages, entry.updated) for entry in entries)]
            for path in paths.values()
        ]
        return render("website/sitemap.xml", self.office, pages=pages)

    def _alternates(self, paths: Mapping[str, str], house: House) -> dict[str, str]:
        """Addresses by language tag, ``x-default`` among them; none where there is only one language."""
        found = {house.tag(code): self.base + paths[code] for code in self.languages if code in paths}
        if len(found) < 2:
            return {}
        return {**found, "x-default": self.base + paths.get("both", paths[self.languages[0]])}


def identity(address: str) -> str:
    """An Atom id that stays (RFC 4287, 4.2.6): a UUIDv5 of the address."""
    return uuid.uuid5(uuid.NAMESPACE_URL, address).urn


def _tags(house: House) -> dict[Language, str]:
    return {code: house.tag(code) for code in Language}
