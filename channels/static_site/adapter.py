"""The adapter: what it is told, and how a publication comes to be seen."""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, ClassVar

from markupsafe import escape
from pydantic import AfterValidator, Field

from channels.static_site import folder as disk
from channels.static_site import payload as content
from channels.static_site.folder import Folder
from channels.static_site.pages import SITEMAP, Site
from channels.static_site.payload import CALENDAR, PICTURES, SitePayload, page_folder
from channels.static_site.record import Record, merged
from publisher import clock
from publisher.announcement import Language
from publisher.channel import (
    Adapter,
    Capabilities,
    ChannelSettings,
    Kind,
    Layout,
    Links,
    Outcome,
    OutcomeUnknown,
    PictureRule,
    Receipt,
    Rejected,
    SignInFailed,
    Template,
    Unavailable,
    Variant,
)
from publisher.errors import PublisherError
from publisher.render import calendar
from publisher.render.links import base_address

_OURS = re.compile(r"[0-9a-f]{20}\.(jpg|png|webp)")
"""The names of pictures that we made; anything else in their folder is somebody else's."""
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class StaticSiteSettings(ChannelSettings):
    """Where the site is, on the disk and on the web."""

    folder: Path = Field(description="folder the site is written to, which the web server serves")
    url: Annotated[str, AfterValidator(base_address)] = Field(
        description="address of that folder on the web, such as https://www.example.org/news/"
    )


class StaticSiteAdapter(Adapter[StaticSiteSettings, SitePayload]):
    """Writes pages, index, feeds, calendars and sitemap into a folder; every file appears whole."""

    title = "a website in a folder, served by any web server"
    kind = Kind.POST
    Settings = StaticSiteSettings
    templates: ClassVar[tuple[Template, ...]] = (
        Template("title", "website/title.txt"),
        Template("body", "website/post.html"),
        Template("body_zh", "website/post.html", (Language.ZH,)),
        Template("body_en", "website/post.html", (Language.EN,)),
        Template("page", "website/page.html"),
        Template("page_zh", "website/page.html", (Language.ZH,)),
        Template("page_en", "website/page.html", (Language.EN,)),
        Template("calendar", "website/event.ics"),
        Template("calendar_zh", "website/event.ics", (Language.ZH,)),
        Template("calendar_en", "website/event.ics", (Language.EN,)),
    )

    @property
    def capabilities(self) -> Capabilities:
        """What is not in the folder now will not appear later."""
        return Capabilities(pictures=PictureRule(longest=1600), settles_after=timedelta(0))

    @property
    def _folder(self) -> Folder:
        return Folder(self.settings.folder)

    @property
    def _site(self) -> Site:
        return Site(self.settings.url, self.settings.languages, self.office)

    def links(self, key: str) -> Links:
        """The page in both languages, or the leading language's where no page has both."""
        languages = self.settings.languages
        own = {code: self.settings.url + page_folder(key, code) for code in languages}
        together = len(languages) > 1 and self.settings.layout is not Layout.SEPARATE
        both = self.settings.url + page_folder(key, "both") if together else own[languages[0]]
        return Links(both, zh=own.get(Language.ZH, ""), en=own.get(Language.EN, ""))

    async def check(self) -> str:
        """Writes to the folder and takes it back, and renders the index without showing it."""
        await asyncio.to_thread(self._check)
        return f"{self.channel} can write to {self.settings.folder}, to be read at {self.settings.url}."

    def _check(self) -> None:
        with self._named():
            self._folder.probe()
            self._site.files(list(self._records().values()))

    def prepare(self, variant: Variant) -> SitePayload:
        """The files. Refuses what no page may carry, and a page whose own address is not known."""
        return content.build(variant, self.settings.url)

    async def publish(self, payload: SitePayload, key: str) -> Receipt:
        """Writes everything beside its place, then shows it: pages, record, index, feeds, sitemap.

        Raises :class:`Unavailable` or :class:`SignInFailed` while nothing can be seen yet, and
        :class:`OutcomeUnknown` after that; to publish the same again does no harm.
        """
        await asyncio.to_thread(self._publish, payload)
        return await self._read_back(payload)

    async def update(self, receipt: Receipt, payload: SitePayload) -> Receipt:
        """Replaces the pages, as :meth:`publish` writes them; may be repeated.

        The first day and the ids of the feeds stay, and the receipt keeps id and links. Raises :class:`Rejected`
        where the site does not show that page, besides the errors of :meth:`publish`.
        """
        await asyncio.to_thread(self._publish, payload, receipt)
        return await self._read_back(payload)

    async def retract(self, receipt: Receipt) -> Receipt:
        """Puts a notice in the place of the pages, calls the event off, and takes both from every list.

        May be repeated. The receipt keeps id and links, since the notice is at the same address. Raises as
        :meth:`update` does.
        """
        record = await asyncio.to_thread(self._retract, receipt)
        return self._receipt(record, record.withdrawn)

    def _publish(self, payload: SitePayload, correcting: Receipt | None = None) -> None:
        with self._named(), self._folder.lock():
            records = self._records()
            if correcting:
                path, earlier = self._named_by(correcting, records)
                if path != payload.record_path or earlier.withdrawn:
                    raise Rejected(f"{self.channel} does not show this page any more; publish it anew.")
            moment = clock.now()
            record = _dated(payload.record, records.get(payload.record_path), moment)
            files = {**self._orphans(records.get(payload.record_path), payload, moment), **payload.files}
            self._show(records, payload.record_path, record, files)

    def _retract(self, receipt: Receipt) -> Record:
        with self._named(), self._folder.lock():
            records = self._records()
            path, record = self._named_by(receipt, records)
            moment = clock.now()
            record = record.taken_back(_stamp(moment))
            files = {
                f"{page}index.html": self._site.notice(record, scope) for scope, page in record.pages.items()
            }
            calendars = [name for name in record.sha256 if name.endswith(CALENDAR)]
            self._show(records, path, record, {**self._called_off(calendars, moment), **files})
        return record

    def _show(
        self, records: dict[str, Record], path: str, record: Record, files: Mapping[str, bytes]
    ) -> None:
        """Writes an announcement's files, its record at ``path``, and the lists that follow from all records."""
        records[path] = record
        lists = self._site.files(list(records.values()))
        staged = self._folder.stage({**files, path: record.to_json(), **lists})
        try:
            disk.show(staged)
            self._folder.keep_only(PICTURES, _OURS, {name for r in records.values() for name in r.shown})
        except OSError as error:
            raise OutcomeUnknown(f"{self.channel} stopped half-way: {_reason(error)}.") from error

    def _orphans(self, earlier: Record | None, payload: SitePayload, moment: datetime) -> dict[str, bytes]:
        """The calendar files that a correction leaves without an event: readers may have taken them."""
        known = earlier.sha256 if earlier else ()
        left = [name for name in known if name.endswith(CALENDAR) and name not in payload.files]
        return self._called_off(left, moment)

    def _called_off(self, calendars: Iterable[str], moment: datetime) -> dict[str, bytes]:
        """Calendar files, by path, with their events called off; one that is gone is left out."""
        found = {path: data for path in calendars if (data := self._folder.read(path)) is not None}
        try:
            return {path: calendar.cancelled(data.decode(), moment).encode() for path, data in found.items()}
        except ValueError:
            place = self.settings.folder / next(iter(found))
            raise Unavailable(f"{self.channel}: {place} is damaged; bring it back from a backup.") from None

    def _named_by(self, receipt: Receipt, records: Mapping[str, Record]) -> tuple[str, Record]:
        """The record, and its path, that a receipt's id belongs to."""
        for path, record in records.items():
            if receipt.id in record.pages.values():
                return path, record
        raise Rejected(f"{self.channel} has no page that the receipt names; look at the site.")

    async def _read_back(self, payload: SitePayload) -> Receipt:
        record = await asyncio.to_thread(self._find, payload)
        if record is None:
            raise OutcomeUnknown(
                f"{self.channel} wrote the page and cannot read it back; look at the folder."
            )
        return self._receipt(record, record.updated, payload.pictures)

    def _receipt(self, record: Record, moment: str, pictures: tuple[str, ...] = ()) -> Receipt:
        shown = tuple(self.settings.url + path for path in pictures)
        return Receipt(
            Outcome.CONFIRMED,
            id=next(iter(record.pages.values())),
            links=replace(self.links(record.key), pictures=shown),
            at=datetime.fromisoformat(moment),
        )

    async def find(self, key: str, payload: SitePayload) -> Receipt | None:
        """The receipt, once the same pages are there and listed; half a publication is ``None``."""
        record = await asyncio.to_thread(self._find, payload)
        return self._receipt(record, record.updated, payload.pictures) if record else None

    def _find(self, payload: SitePayload) -> Record | None:
        with self._named():
            if any(self._folder.read(path) != data for path, data in payload.files.items()):
                return None
            listed = (self._folder.read(SITEMAP) or b"").decode()
            records = self._records(f"{payload.record.key}*")
        record = records.get(payload.record_path)
        if record is None or record.withdrawn or record.sha256 != payload.record.sha256:
            return None
        (entry,) = (entry for entry in merged(records.values()) if entry.key == record.key)
        # The sitemap is written last: what it lists, as of then, is on the index and in the feeds too.
        addresses = [escape(self.settings.url + page) for page in record.pages.values()]
        complete = all(f"<loc>{a}</loc><lastmod>{entry.updated}</lastmod>" in listed for a in addresses)
        return record if complete else None

    def _records(self, names: str = "*") -> dict[str, Record]:
        """What is published, by the record's path; ``names`` is a pattern for the files' names."""
        return {path: self._record(path, data) for path, data in self._folder.records(names).items()}

    def _record(self, path: str, data: bytes) -> Record:
        try:
            return Record.from_json(data)
        except (ValueError, TypeError):
            place = self.settings.folder / path
            raise Unavailable(f"{self.channel}: {place} is damaged; bring it back from a backup.") from None

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Names what disk, templates and house style can do wrong, while nothing can be seen yet."""
        try:
            yield
        except OSError as error:
            sentence = f"{self.channel} cannot use {self.settings.folder}: {_reason(error)}."
            raise (SignInFailed if error.errno in _REFUSED else Unavailable)(sentence) from error
        except PublisherError as error:
            raise Unavailable(f"{self.channel}: {error}") from error


def _dated(record: Record, earlier: Record | None, moment: datetime) -> Record:
    return replace(record, published=_stamp(moment), updated=_stamp(moment)).after(earlier)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
