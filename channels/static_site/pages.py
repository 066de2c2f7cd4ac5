"""What is made anew at every publication: lists, feeds, calendars, sitemap, style sheet. Pure: records in, bytes out.

Sources: RFC 4287 (Atom), jsonfeed.org version 1.1, sitemaps.org 0.9 with ``xhtml:link`` for translations.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from channels.static_site import agenda
from channels.static_site.agenda import AGENDA
from channels.static_site.record import Record, merged
from publisher.announcement import Bilingual, Language
from publisher.render import house as house_style
from publisher.render import jsonld
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

    def files(self, records: list[Record]) -> dict[str, bytes]:
        """Every file by its path, the sitemap last: what it lists is on the index, in the feeds and the calendars.

        ``records`` are all of the site, also of what was withdrawn. Raises
        :class:`~publisher.errors.PublisherError` for a template or a house style that cannot be used.
        """
        house = house_style.load(self.office)
        entries = merged(records)
        texts = {"site.css": render("website/site.css", self.office, house=house)}
        texts |= {"index.html": self._index(self.languages, "", entries, house)}
        if len(self.languages) > 1:
            texts[AGENDA] = agenda.write(records, self.languages, self.base, "", house)
        for code in self.languages:
            texts[f"{code}/index.html"] = self._index((code,), "../", entries, house)
            told = [entry for entry in entries if code in entry.content][:FEED_LENGTH]
            texts[f"{code}/feed.xml"] = self._atom(code, told, _changed(code, records), house)
            texts[f"{code}/feed.json"] = self._json_feed(code, told, house)
            texts[f"{code}/{AGENDA}"] = agenda.write(records, (code,), self.base, f"{code}/", house)
        texts[SITEMAP] = self._sitemap(entries, house)
        return {path: text.encode() for path, text in texts.items()}

    def notice(self, record: Record, scope: str) -> bytes:
        """The page that takes the place of ``record``'s page of ``scope``: it has been withdrawn.

        Raises as :meth:`files` does.
        """
        own = [code for code in self.languages if code == scope]
        house = house_style.load(self.office)
        called_off = self._called_off(record, scope, house)
        text = render(
            "website/withdrawn.html",
            self.office,
            house=house,
            lang=_tags(house),
            key=record.key,
            scope=scope,
            languages=(*own, *(code for code in self.languages if code not in own)),
            channel_languages=self.languages,
            jsonld=jsonld.script(called_off) if called_off else "",
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

    def _atom(self, code: Language, entries: list[Record], updated: str, house: House) -> str:
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
            updated=updated,
        )

    def _json_feed(self, code: Language, entries: list[Record], house: House) -> str:
        items = [self._item(code, entry, house) for entry in entries]
        feed = {
            "version": "https://jsonfeed.org/version/1.1",
            "title": _name(house, code),
            "home_page_url": f"{self.base}{code}/",
            "feed_url": f"{self.base}{code}/feed.json",
            "language": house.tag(code),
            "authors": [{"name": _name(house, code)}],
            "items": items,
        }
        return json.dumps(feed, ensure_ascii=False, indent=1)

    def _item(self, code: Language, entry: Record, house: House) -> dict[str, Any]:
        item = {
            "id": entry.ids[code],
            "url": self.base + entry.pages[code],
            "title": entry.title[code] or entry.title[code.other],
            "content_html": entry.content[code],
            "summary": entry.excerpt[code],
            "image": entry.image,
            "date_published": entry.published,
            "date_modified": entry.updated,
            "tags": list(dict.fromkeys(entry.tags[code])),
            "language": house.tag(code),
            "_announcement": {"key": entry.key, "revision": entry.revision},
        }
        # What is left out may be left out, but what is there must say something.
        return {name: value for name, value in item.items() if value or name == "content_html"}

    def _called_off(self, record: Record, scope: str, house: House) -> dict[str, Any] | None:
        """schema.org data of a withdrawn announcement's event, under the name that its pages gave it."""
        event = agenda.happening(record)
        if event is None:
            return None
        languages = tuple(code for code in self.languages if scope in (code, "both"))
        page = self.base + record.pages[scope]
        together = self.base + f"{record.key}/" if "both" in record.pages else ""
        leading = self.base + f"{self.languages[0]}/{record.key}/"
        return jsonld.called_off(
            Bilingual(**record.title),
            Bilingual(**event["place"]),
            event["link"],
            (event["start_iso"], event["end_iso"]),
            (together or leading, page),
            languages,
            house,
        )

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


def _changed(code: Language, records: Iterable[Record]) -> str:
    """When a language's feed last changed: a withdrawal changes it too, and an empty one is as old as time."""
    return max(
        (record.changed for record in records if code in record.content), default="1970-01-01T00:00:00Z"
    )


def _name(house: House, code: Language) -> str:
    return house.name[code] or house.name[code.other]


def _tags(house: House) -> dict[Language, str]:
    return {code: house.tag(code) for code in Language}
