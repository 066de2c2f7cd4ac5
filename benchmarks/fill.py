"""Stores with very many deliveries, filled by the database itself, three to an announcement as an office has them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from publisher import clock
from publisher.store import Store
from tests.toy import DOCUMENT, OFFICER, Office, office

CHANNELS = ("site", "note", "mail")


def bureau(folder: Path, url: str = "") -> tuple[Office, int]:
    """An office on the true clock with one approved announcement, and the id of a sealed variant of it."""
    made = office(Store.open(folder, url), folder)
    made.desk._now = clock.now
    key, _ = made.desk.add(DOCUMENT.encode(), "corner.md", OFFICER)
    made.approve(key)
    with made.store.read() as tx:
        seal = tx.seals.of(tx.announcements.get(key).revision_id)
        assert seal is not None
        return made, tx.seals.variants(seal.id)[0][0]


def fill(
    made: Office,
    variant_id: int,
    count: int,
    *,
    due: datetime,
    apart: float = 0.0,
    state: str = "waiting",
    prefix: str = "x",
    whole: bool = False,
    channels: tuple[str, ...] = CHANNELS,
) -> None:
    """Stores ``count`` deliveries in ``state``, the first ``due`` then, each ``apart`` seconds after the last.

    ``whole`` gives each announcement content of its own, which a worker reads of those that are due within a day.
    """
    source = made.desk.all()[-1].filed.key
    numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count) "
    per = len(channels)
    names = " ".join(f"WHEN {at} THEN '{name}'" for at, name in enumerate(channels))
    sqlite = made.store._engine.dialect.name == "sqlite"
    moment = (
        "strftime('%Y-%m-%d %H:%M:%f000', julianday(:due) + n.i * :apart / 86400.0)"
        if sqlite
        else "CAST(:due AS timestamptz) + n.i * :apart * interval '1 second'"
    )
    given = {
        "count": count,
        "source": source,
        "variant": variant_id,
        "due": due.replace(tzinfo=None).isoformat(" ") if sqlite else due.isoformat(),
        "apart": apart,
        "prefix": prefix,
        "state": state,
    }
    with made.store._engine.begin() as connection:
        connection.execute(
            text(
                f"{numbers} INSERT INTO announcements (key, state, channels, created_at) "
                f"SELECT :prefix || (n.i / {per}), 'scheduled', '[]', a.created_at "
                f"FROM n, announcements a WHERE a.key = :source AND n.i % {per} = 0"
            ),
            given,
        )
        if whole:
            connection.execute(
                text(
                    f"{numbers} INSERT INTO revisions (announcement, number, content, content_hash, source, author, "
                    f"created_at) SELECT :prefix || (n.i / {per}), 1, content, content_hash, source, author, "
                    f"created_at FROM n, revisions r WHERE r.announcement = :source AND n.i % {per} = 0"
                ),
                given,
            )
        connection.execute(
            text(
                f"{numbers} INSERT INTO deliveries "
                "(key, announcement, revision, variant_id, channel, scope, canonical, state, due_at) "
                f"SELECT :prefix || '-' || n.i, :prefix || (n.i / {per}), 1, :variant, "
                f"CASE n.i % {per} {names} END, 'both', {'0' if sqlite else 'false'}, :state, {moment} FROM n"
            ),
            given,
        )


def soon(seconds: float) -> datetime:
    """So many seconds from now."""
    return clock.now() + timedelta(seconds=seconds)
