"""Announcements and their revisions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, text, update

from publisher.announcement import AnnouncementState, Revision
from publisher.clock import WallTime
from publisher.errors import NotFoundError
from publisher.store.schema import announcements, revisions

_AT_ONCE = "now"
"""Stands for a zone where an announcement goes out as soon as it is approved."""


@dataclass(frozen=True, slots=True)
class Filed:
    """An announcement with its newest revision. ``channels`` is empty for all that are configured."""

    key: str
    state: AnnouncementState
    channels: tuple[str, ...]
    publish_at: WallTime | None
    at_once: bool
    created_at: datetime
    revision_id: int
    number: int
    revision: Revision
    content_hash: str
    source: str
    author: str
    submitter: str
    revised_at: datetime


class Announcements:
    """Adds and finds announcements; a revision's content is written once and never changed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def next_key(self, year: int) -> str:
        """The next free key of a year, such as ``2026-0042``."""
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(text("LOCK TABLE announcements IN SHARE ROW EXCLUSIVE MODE"))
        number = func.substr(announcements.c.key, 6)
        longest_first = (func.length(announcements.c.key).desc(), number.desc())
        query = select(number).where(announcements.c.key.like(f"{year}-%")).order_by(*longest_first).limit(1)
        last = self._connection.execute(query).scalar()
        return f"{year}-{int(last or 0) + 1:04d}"

    def add(
        self,
        key: str,
        channels: Iterable[str],
        publish_at: WallTime | None,
        at_once: bool,
        created_at: datetime,
    ) -> None:
        """Adds an announcement without content; :meth:`add_revision` must follow in the same transaction.

        ``at_once`` publishes it as soon as it is approved, whenever that is.
        """
        self._connection.execute(
            insert(announcements).values(
                key=key,
                state=AnnouncementState.DRAFT,
                channels=json.dumps(list(channels)),
                publish_local=publish_at.local.isoformat() if publish_at else "",
                publish_zone=publish_at.zone if publish_at else _AT_ONCE if at_once else "",
                created_at=created_at,
            )
        )

    def add_revision(
        self, key: str, number: int, revision: Revision, source: str, author: str, created_at: datetime
    ) -> None:
        """Adds revision ``number``; the announcement is a draft again."""
        self._connection.execute(
            insert(revisions).values(
                announcement=key,
                number=number,
                content=revision.to_json(),
                content_hash=revision.content_hash,
                source=source,
                author=author,
                created_at=created_at,
            )
        )
        self.set_state(key, AnnouncementState.DRAFT)

    def set_state(self, key: str, state: AnnouncementState) -> None:
        """Moves the announcement; the desk has checked that it may."""
        self._connection.execute(update(announcements).where(announcements.c.key == key).values(state=state))

    def set_publish_at(self, key: str, publish_at: WallTime) -> None:
        """Remembers the hour a person asked for, as wall time and zone."""
        self._connection.execute(
            update(announcements)
            .where(announcements.c.key == key)
            .values(publish_local=publish_at.local.isoformat(), publish_zone=publish_at.zone)
        )

    def plan_anew(self, key: str, channels: Iterable[str]) -> None:
        """Other channels, as a new revision's document asks for them."""
        self._connection.execute(
            update(announcements)
            .where(announcements.c.key == key)
            .values(channels=json.dumps(list(channels)))
        )

    def set_submitter(self, revision_id: int, submitter: str) -> None:
        """Records who submitted the revision."""
        self._connection.execute(
            update(revisions).where(revisions.c.id == revision_id).values(submitter=submitter)
        )

    def state(self, key: str) -> AnnouncementState:
        """How the announcement called ``key``, which is there, stands at this moment."""
        query = select(announcements.c.state).where(announcements.c.key == key)
        return AnnouncementState(self._connection.execute(query).scalar_one())

    def get(self, key: str) -> Filed:
        """The announcement called ``key``, with its newest revision. Raises :class:`NotFoundError`."""
        if not self._connection.get_execution_options().get("publisher_read"):
            # Whoever decides on a state holds it until the decision is written; SQLite has one writer anyway. In a
            # statement of its own: one that had to wait for the row would see the revisions of before.
            held = select(announcements.c.key).where(announcements.c.key == key).with_for_update()
            self._connection.execute(held)
        newest = revisions.c.number.desc()
        query = _with_revision().where(announcements.c.key == key).order_by(newest).limit(1)
        row = self._connection.execute(query).first()
        if row is None:
            raise NotFoundError(f'There is no announcement {key}; "publisher list" shows all of them.')
        return _filed(row)

    def all(self) -> list[Filed]:
        """All announcements, the newest first."""
        query = _newest().order_by(announcements.c.created_at.desc(), announcements.c.key.desc())
        return [_filed(row) for row in self._connection.execute(query)]


def _with_revision() -> Select[Any]:
    revised_at = revisions.c.created_at.label("revised_at")
    return select(announcements, revisions.c.id.label("revision_id"), revisions, revised_at).join(
        revisions, revisions.c.announcement == announcements.c.key
    )


def _newest() -> Select[Any]:
    latest = (
        select(revisions.c.announcement, func.max(revisions.c.number).label("number"))
        .group_by(revisions.c.announcement)
        .subquery()
    )
    return _with_revision().join(
        latest,
        (revisions.c.announcement == latest.c.announcement) & (revisions.c.number == latest.c.number),
    )


def _filed(row: Row[Any]) -> Filed:
    local = row.publish_local
    return Filed(
        key=row.key,
        state=AnnouncementState(row.state),
        channels=tuple(json.loads(row.channels)),
        publish_at=WallTime(datetime.fromisoformat(local), row.publish_zone) if local else None,
        at_once=row.publish_zone == _AT_ONCE,
        created_at=row.created_at,
        revision_id=row.revision_id,
        number=row.number,
        revision=Revision.from_json(row.content),
        content_hash=row.content_hash,
        source=row.source,
        author=row.author,
        submitter=row.submitter,
        revised_at=row.revised_at,
    )
