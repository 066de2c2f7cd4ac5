"""What is published: plain frozen data that knows nothing of files, channels or databases."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

KEY = re.compile(r"\d{4}-\d{4,}", re.ASCII)
"""An announcement's key, such as ``2026-0042``: part of every slug, Message-ID and idempotency key."""


class Language(StrEnum):
    """The two languages of every announcement."""

    ZH = "zh"
    EN = "en"

    @property
    def other(self) -> Language:
        """The other one of the two."""
        return Language.EN if self is Language.ZH else Language.ZH


class PassageKind(StrEnum):
    """What a passage is in the document."""

    PARAGRAPH = "paragraph"
    HEADING = "heading"
    LIST = "list"
    QUOTE = "quote"


class Markup(StrEnum):
    """How the texts of a revision are written."""

    TEXT = "text"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True)
class Bilingual:
    """One text in both languages; an empty string is a text that is missing."""

    zh: str = ""
    en: str = ""

    def __getitem__(self, language: Language | str) -> str:
        return self.zh if Language(language) is Language.ZH else self.en

    def __bool__(self) -> bool:
        return bool(self.zh or self.en)

    def joined(self, languages: Iterable[Language | str]) -> str:
        """The texts in these languages as one."""
        return " / ".join(self[code] for code in languages if self[code])


NO_TEXT = Bilingual()
"""Nothing in either language."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One paragraph, heading, list or quote, in two languages.

    ``zh`` and ``en`` are source text in the revision's markup, without trailing newline. A heading holds its
    text without the leading ``#``; ``level`` is its depth, 2 to 6. Lists and quotes hold the whole block.
    """

    zh: str
    en: str
    kind: PassageKind = PassageKind.PARAGRAPH
    level: int = 0

    def __getitem__(self, language: Language | str) -> str:
        return self.zh if Language(language) is Language.ZH else self.en


@dataclass(frozen=True, slots=True)
class Event:
    """When and where. ``start`` and ``end`` are local times, ``YYYY-MM-DDTHH:MM``, in the IANA ``timezone``."""

    start: str
    timezone: str
    end: str = ""
    place: Bilingual = field(default_factory=Bilingual)
    link: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: ``file`` is its name beside the document, ``alt`` what it shows, in both languages.

    ``sha256`` is the hash of what is kept of it, in hex; empty before it has been looked at. ``after`` is the index of
    the passage it follows; -1 where the document does not say.
    """

    file: str
    alt: Bilingual
    sha256: str = ""
    after: int = -1


@dataclass(frozen=True, slots=True)
class Tags:
    """Tags without the leading ``#``."""

    zh: tuple[str, ...] = ()
    en: tuple[str, ...] = ()

    def __getitem__(self, language: Language | str) -> tuple[str, ...]:
        return self.zh if Language(language) is Language.ZH else self.en


@dataclass(frozen=True, slots=True)
class Revision:
    """One immutable state of an announcement's content."""

    title: Bilingual
    passages: tuple[Passage, ...]
    markup: Markup = Markup.TEXT
    summary: Bilingual = field(default_factory=Bilingual)
    event: Event | None = None
    organisations: tuple[Bilingual, ...] = ()
    tags: Tags = field(default_factory=Tags)
    images: tuple[Image, ...] = ()

    @property
    def content_hash(self) -> str:
        """SHA-256, in hex, of the canonical JSON: equal exactly for equal content."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The canonical form: sorted keys, no spaces, UTF-8."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Revision:
        """The revision that :meth:`to_json` wrote."""
        raw: dict[str, Any] = json.loads(text)
        event = raw["event"]
        return cls(
            title=Bilingual(**raw["title"]),
            passages=tuple(Passage(**{**p, "kind": PassageKind(p["kind"])}) for p in raw["passages"]),
            markup=Markup(raw["markup"]),
            summary=Bilingual(**raw["summary"]),
            event=Event(**{**event, "place": Bilingual(**event["place"])}) if event else None,
            organisations=tuple(Bilingual(**o) for o in raw["organisations"]),
            tags=Tags(zh=tuple(raw["tags"]["zh"]), en=tuple(raw["tags"]["en"])),
            images=tuple(Image(**{**i, "alt": Bilingual(**i["alt"])}) for i in raw["images"]),
        )

    def texts(self) -> Mapping[str, str]:
        """Every text of the revision by a name for it, for checks that look at all of them."""
        found: dict[str, str] = {}
        for name in ("title", "summary"):
            value: Bilingual = getattr(self, name)
            found |= {f"{name}.{f.name}": getattr(value, f.name) for f in fields(value)}
        for index, passage in enumerate(self.passages):
            found |= {f"passages[{index}].zh": passage.zh, f"passages[{index}].en": passage.en}
        if self.event:
            found |= {"event.place.zh": self.event.place.zh, "event.place.en": self.event.place.en}
            found["event.link"] = self.event.link
        for index, organisation in enumerate(self.organisations):
            found |= {f"organisations[{index}].{code}": organisation[code] for code in Language}
        for code in Language:
            found |= {f"tags.{code}[{i}]": tag for i, tag in enumerate(self.tags[code])}
        for index, image in enumerate(self.images):
            found |= {f"images[{index}].alt.{code}": image.alt[code] for code in Language}
        return {name: text for name, text in found.items() if text}


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts: ``name`` as given with ``--as``, and the operating system's ``account``. Both are recorded."""

    name: str
    account: str

    def is_called(self, name: str) -> bool:
        """Whether ``name`` means this person; case, width and spaces do not tell people apart."""
        return _folded(self.name) == _folded(name)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


class AnnouncementState(StrEnum):
    """Where an announcement's newest revision stands; what happened to its posts, the deliveries tell."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    CANCELLED = "cancelled"
    RETRACTED = "retracted"


class Severity(StrEnum):
    """What a finding means for the approval."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a check says about a revision.

    ``code`` is ``kind.detail``; ``passage`` the index of the passage, or ``None``; ``zh`` and ``en`` the texts
    it is about; ``fix`` what to do or the corrected text, empty where none is safe.
    """

    code: str
    severity: Severity
    message: str
    passage: int | None = None
    zh: str = ""
    en: str = ""
    fix: str = ""
