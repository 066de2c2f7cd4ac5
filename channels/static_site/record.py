"""What the site remembers of an announcement: enough to rebuild the index, the feeds, the calendars and the sitemap."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from publisher.announcement import Language
from publisher.render.calendar import sequence
from publisher.render.dates import Day


@dataclass(frozen=True)
class Record:
    """One published variant, as ``_data/<name>.json``.

    ``pages`` are the relative folders of its pages by scope (``zh``, ``en``, ``both``), with a slash at the end;
    ``content`` its article and ``ids`` its Atom ids by language; ``sha256`` the pages' hashes by path.
    ``published``, ``updated`` and ``withdrawn`` (empty while it is out) are UTC, in ISO 8601; ``event`` is as in a
    variant's facts, ``former_event`` the one that a correction took away. ``sequence`` is higher at every change a
    calendar must see. ``image`` is the full address of its leading picture, empty without one.
    """

    key: str
    revision: int
    date: str
    published: str
    updated: str
    title: Mapping[str, str]
    excerpt: Mapping[str, str]
    tags: Mapping[str, list[str]]
    event: Mapping[str, Any] | None
    pages: Mapping[str, str]
    content: Mapping[str, str]
    ids: Mapping[str, str]
    sha256: Mapping[str, str]
    withdrawn: str = ""
    sequence: int = 0
    former_event: Mapping[str, Any] | None = None
    image: str = ""

    @property
    def changed(self) -> str:
        """When it was last changed or withdrawn."""
        return max(self.updated, self.withdrawn)

    @property
    def year(self) -> str:
        """The year under which the index lists it."""
        return self.date[:4]

    @property
    def day(self) -> Day:
        """The day printed on it, as readers of each language write it."""
        return Day.of(date.fromisoformat(self.date))

    def page(self, language: Language, shown: tuple[Language, ...]) -> str:
        """The page to name in ``language`` on an index in the languages ``shown``; empty where there is none."""
        both = self.pages.get("both", "") if len(shown) > 1 else ""
        return both or self.pages.get(language, "")

    @property
    def shown(self) -> frozenset[str]:
        """The paths of what people can see of it; none once it is withdrawn."""
        return frozenset() if self.withdrawn else frozenset(self.sha256)

    def to_json(self) -> bytes:
        """The file's bytes."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Record:
        """The record that :meth:`to_json` wrote. Raises ``ValueError`` or ``TypeError`` for anything else."""
        known = json.loads(data)
        # Records of earlier versions have none.
        known.setdefault("sequence", sequence(known["revision"]) + bool(known.get("withdrawn")))
        return cls(**known)

    def after(self, earlier: Record | None) -> Record:
        """This record with the first day and the ids of an ``earlier`` one, which never change."""
        if earlier is None:
            return self
        same = earlier.sha256 == self.sha256 and earlier.content == self.content and not earlier.withdrawn
        return replace(
            self,
            published=earlier.published,
            updated=earlier.updated if same else self.updated,
            ids={**self.ids, **earlier.ids},
            sequence=earlier.sequence if same else max(self.sequence, earlier.sequence + 1),
            former_event=None if self.event else earlier.event or earlier.former_event,
        )

    def taken_back(self, moment: str) -> Record:
        """This record withdrawn at ``moment``; one that is withdrawn already stays."""
        if self.withdrawn:
            return self
        return replace(self, withdrawn=moment, sequence=self.sequence + 1)


def merged(records: Iterable[Record]) -> list[Record]:
    """One entry an announcement that is out, newest first; where each language has its own post, they are joined."""
    return joined(record for record in records if not record.withdrawn)


def joined(records: Iterable[Record]) -> list[Record]:
    """One entry an announcement, newest first."""
    entries: dict[str, Record] = {}
    for record in records:
        other = entries.get(record.key)
        entries[record.key] = _joined(other, record) if other else record
    return sorted(entries.values(), key=lambda entry: (entry.published, entry.key), reverse=True)


def _joined(one: Record, two: Record) -> Record:
    newer, older = (two, one) if two.updated >= one.updated else (one, two)
    return replace(
        newer,
        published=min(one.published, two.published),
        pages={**older.pages, **newer.pages},
        content={**older.content, **newer.content},
        ids={**older.ids, **newer.ids},
        sha256={**older.sha256, **newer.sha256},
        sequence=max(one.sequence, two.sequence),
    )
