"""From a sealed variant to the files of a page bundle. Pure.

A language has its own files, each with the site's code for it in the name: ``index.zh.md``, ``event.zh.ics``. Hugo
publishes them beside that language's page only, in every version, and a post in one language alone can be written,
corrected and taken back without touching the other's. A file shared by both would be published once or twice, and
found or not, depending on the version (0.123) and on the theme's link hooks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from channels.hugo import front_matter
from channels.hugo.front_matter import Value
from channels.hugo.settings import HugoSettings, checked
from publisher.announcement import Language
from publisher.channel import Layout, Payload, Unsupported, Variant
from publisher.render import links
from publisher.render.html import refuse_unprintable
from publisher.render.markdown import escape, is_sound

_MARK = ("announcement", ".json")


@dataclass(frozen=True)
class Post:
    """One post of this channel: an announcement in these languages, and the folders its files are in.

    ``folders`` and all paths are relative to the site's folder.
    """

    key: str
    languages: tuple[Language, ...]
    id: str
    folders: Mapping[Language, str]
    names: Mapping[Language, re.Pattern[str]]

    def owns(self, path: str) -> bool:
        """Whether the file at ``path`` is one that this channel writes for this post."""
        folder, _, name = path.rpartition("/")
        return any(
            folder == self.folders[code] and self.names[code].fullmatch(name) for code in self.languages
        )

    def is_page(self, path: str) -> bool:
        """Whether ``path`` is a page of this post."""
        return self.owns(path) and path.endswith(".md")


@dataclass(frozen=True)
class BundlePayload(Payload):
    """What one variant writes: ``files`` by relative path, the pages last, and ``subject`` for the commit.

    ``marks`` is what is served, by address, once this revision is live; ``pictures`` are the addresses of its pictures
    beside the leading page, in the order of the document.
    """

    post: Post
    files: Mapping[str, bytes]
    subject: str
    marks: Mapping[str, bytes]
    pictures: tuple[str, ...] = ()

    def over(self, there: Mapping[str, bytes]) -> dict[str, bytes]:
        """The files as they are written where the files ``there`` are: pages keep their first day."""
        return {
            path: front_matter.with_first_day(data, there.get(path)) if path.endswith(".md") else data
            for path, data in self.files.items()
        }


def post(settings: HugoSettings, key: str, languages: tuple[Language, ...]) -> Post:
    """The post of announcement ``key`` in ``languages``. Refuses a key that is not one."""
    whole = f"{settings.section}/{checked(key)}"
    separate = settings.layout is Layout.SEPARATE
    return Post(
        key=key,
        languages=languages,
        id=f"{whole}/{languages[0]}" if separate else whole,
        folders={code: settings.page_folder(key, code) for code in languages},
        names={code: _names(settings.language(code)) for code in languages},
    )


def named_by(settings: HugoSettings, identity: str) -> Post | None:
    """The post a receipt's id belongs to; ``None`` for an id that this channel never gave."""
    pattern = rf"{re.escape(settings.section)}/(\d{{4}}-\d{{4,}})(?:/(zh|en))?"
    found = re.fullmatch(pattern, identity, re.ASCII)
    if not found:
        return None
    languages = (Language(found[2]),) if found[2] else settings.languages
    return replace(post(settings, found[1], languages), id=identity)


def _names(tag: str) -> re.Pattern[str]:
    pictures = r"[0-9a-f]{20}\.TAG\.(?:jpg|png|webp)"
    pattern = rf"index\.TAG\.md|event\.TAG\.ics|announcement\.TAG\.json|{pictures}"
    return re.compile(pattern.replace("TAG", re.escape(tag)))


def build(variant: Variant, settings: HugoSettings) -> BundlePayload:
    """The files of ``variant``. Raises :class:`Unsupported` for what a page cannot carry."""
    if not set(variant.languages) <= set(settings.languages):
        raise Unsupported("The post is in a language that this channel does not have.")
    made = post(settings, variant.key, variant.languages)
    pages: dict[str, bytes] = {}
    beside: dict[str, bytes] = {}
    marks: dict[str, bytes] = {}
    for code in variant.languages:
        page = _Page(variant, settings, code)
        beside |= {f"{made.folders[code]}/{name}": data for name, data in page.beside().items()}
        pages[f"{made.folders[code]}/{page.name('index', '.md')}"] = page.text()
        marks[settings.page(variant.key, code) + page.name(*_MARK)] = page.mark()
    title = next(filter(None, (variant.facts["title"][code] for code in reversed(variant.languages))), "")
    shown = _Page(variant, settings, variant.languages[0]).shown()
    return BundlePayload(made, {**beside, **pages}, _subject(variant, title), marks, shown)


def _subject(variant: Variant, title: str) -> str:
    """The first line of the commit: what it is, and the title as far as a line goes."""
    words = " ".join(title.split())
    return f"Announcement {variant.key}, revision {variant.revision}: {words}"[:120]


@dataclass(frozen=True)
class _Page:
    """The page of ``variant`` in one language."""

    variant: Variant
    settings: HugoSettings
    code: Language

    def name(self, stem: str, ending: str) -> str:
        return f"{stem}.{self.settings.language(self.code)}{ending}"

    def part(self, name: str) -> str:
        """The part of this language: its own, or the whole variant where that is in one language."""
        suffix = f"_{self.code}" if len(self.variant.languages) > 1 else ""
        placed = links.place(self.variant.parts[f"{name}{suffix}"], self._pictures())
        text = placed.text.replace(links.CALENDAR, self.name("event", ".ics"))
        if links.mentions_token(text):
            raise Unsupported("The page's own address is not filled in; set PUBLISHER_CANONICAL.")
        return _carried(text)

    def beside(self) -> dict[str, bytes]:
        """The files that are published beside the page, by name."""
        files = {self._pictures()[picture.name]: picture.data for picture in self.variant.pictures}
        if calendar := self.part("calendar"):
            files[self.name("event", ".ics")] = calendar.encode()
        files[self.name(*_MARK)] = self.mark()
        return files

    def mark(self) -> bytes:
        """The file by which it is seen which revision is live."""
        mark = {"key": self.variant.key, "language": str(self.code), "revision": self.variant.revision}
        return (json.dumps(mark) + "\n").encode()

    def _pictures(self) -> dict[str, str]:
        """The file of each picture, by the picture's name."""
        found = {}
        for picture in self.variant.pictures:
            stem, ending = picture.name.split(".")
            found[picture.name] = self.name(stem, f".{ending}")
        return found

    def shown(self) -> tuple[str, ...]:
        """The addresses of its pictures, in the order of the document."""
        address = self.settings.page(self.variant.key, self.code)
        return tuple(address + name for name in self._pictures().values())

    def text(self) -> bytes:
        """The page's file."""
        extra = self.part("front")
        fields = self._fields()
        for value in _texts(fields):
            _carried(value)
        front_matter.check_extra(extra, fields)
        body = self.part("body").strip("\n")
        return f"{front_matter.write(fields, extra)}\n{body}\n".encode()

    def _fields(self) -> dict[str, Value]:
        facts, code = self.variant.facts, self.code
        begins = front_matter.day_begins(facts["date"], self.settings.timezone)
        address = self.settings.page(self.variant.key, code)
        fields: dict[str, Value] = {
            "title": facts["title"][code] or facts["title"][code.other],
            "date": begins,
            "lastmod": begins,
            "draft": False,
            # With a slash in front it is seen from baseURL, whatever the language and the site's own permalinks.
            "url": "/" + address.removeprefix(self.settings.url),
            "translationKey": f"{self.settings.section}/{self.variant.key}",
            "description": facts["excerpt"][code],
            "summary": escape(facts["excerpt"][code]),
            "tags": list(facts["tags"][code]),
            "images": list(self.shown()),
        }
        if code is Language.ZH:
            fields["isCJKLanguage"] = True
        fields["params"] = self._params()
        return {name: value for name, value in fields.items() if value not in ("", [])}

    def _params(self) -> dict[str, Value]:
        facts, code = self.variant.facts, self.code
        params: dict[str, Value] = {
            "key": self.variant.key,
            "rev": self.variant.revision,
            "lang": facts["language_tags"][code],
        }
        if event := facts["event"]:
            if event["link"].startswith(("http://", "https://")) and not is_sound(event["link"]):
                raise Unsupported(f"The event's link {event['link']} is no web address; mend it.")
            told = {
                "start": event["start_iso"],
                "end": event["end_iso"],
                "place": event["place"][code],
                "link": event["link"],
            }
            params["event"] = {name: value for name, value in told.items() if value}
        return params


def _texts(value: Value) -> Iterator[str]:
    """Every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, Sequence):
        yield from value


def _carried(text: str) -> str:
    """``text``, where a page can carry it. Raises :class:`Unsupported`."""
    refuse_unprintable(text)
    return text


def stale(there: Iterable[str], wanted: Mapping[str, bytes], post: Post) -> list[str]:
    """The files of ``post`` that are ``there`` and not ``wanted`` any more: pictures and events of before."""
    return [path for path in there if post.owns(path) and path not in wanted]
