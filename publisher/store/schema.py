"""The tables. Migrations make them; this module only says what they look like to queries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime, to the microsecond, on databases with and without zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuses a naive datetime: it would be a guess."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time without a zone cannot be stored.")
        if value.tzinfo is not UTC:
            value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Always aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_Id = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER is SQLite's own row id

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *columns: Any) -> Table:
    return Table(name, metadata, *columns)


announcements = _table(
    "announcements",
    Column("key", String(32), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("channels", Text, nullable=False),  # JSON list of names
    Column("publish_local", String(19), nullable=False, server_default=""),  # wall time as typed
    Column("publish_zone", String(64), nullable=False, server_default=""),
    Column("created_at", UtcTime, nullable=False),
)

revisions = _table(
    "revisions",
    Column("id", _Id, primary_key=True),
    Column("announcement", ForeignKey("announcements.key"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("content", Text, nullable=False),  # canonical JSON
    Column("content_hash", String(64), nullable=False),
    Column("source", Text, nullable=False),  # name of the file it came from
    Column("author", Text, nullable=False),
    Column("submitter", Text, nullable=False, server_default=""),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("announcement", "number"),
)

pictures = _table(
    "pictures",
    Column("sha256", String(64), primary_key=True),  # of the data
    Column("data", LargeBinary, nullable=False),
)

seals = _table(
    "seals",
    Column("id", _Id, primary_key=True),
    Column("revision_id", ForeignKey("revisions.id"), nullable=False, unique=True),
    Column("approver", Text, nullable=False),
    Column("canonical", String(40), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
)

variants = _table(
    "variants",
    Column("id", _Id, primary_key=True),
    Column("seal_id", ForeignKey("seals.id"), nullable=False),
    Column("channel", String(40), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("languages", String(16), nullable=False),  # in reading order, comma-separated
    UniqueConstraint("seal_id", "channel", "languages"),
)

parts = _table(
    "parts",
    Column("variant_id", ForeignKey("variants.id"), primary_key=True),
    Column("name", String(40), primary_key=True),
    Column("media_type", String(40), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("sha256", String(64), nullable=False),
)

deliveries = _table(
    "deliveries",
    Column("id", _Id, primary_key=True),
    Column("key", String(120), nullable=False, unique=True),
    Column("announcement", ForeignKey("announcements.key"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("variant_id", ForeignKey("variants.id"), nullable=False),
    Column("channel", String(40), nullable=False),
    Column("scope", String(4), nullable=False),
    Column("canonical", Boolean, nullable=False),
    Column("action", String(8), nullable=False, server_default="publish"),
    Column("state", String(16), nullable=False),
    Column("due_at", UtcTime),
    Column("not_after", UtcTime),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("probes", Integer, nullable=False, server_default=text("0")),
    Column("fence", Integer, nullable=False, server_default=text("0")),
    Column("owner", String(80), nullable=False, server_default=""),
    Column("lease_until", UtcTime),
    Column("tried_since", UtcTime),
    Column("receipt", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("moved_at", UtcTime),  # when its state was last set
)
OPEN = text(
    "(deliveries.state IN ('waiting', 'uncertain') OR deliveries.state = 'accepted' AND deliveries.due_at IS NOT NULL)"
)
"""What a worker may still move; in a query's condition as it stands, so that its index is used."""
_OPEN = text("(state IN ('waiting', 'uncertain') OR state = 'accepted' AND due_at IS NOT NULL)")
# In the order of claiming, so that the first ten are the first ten of the index.
Index("ix_deliveries_due", deliveries.c.due_at, deliveries.c.id, sqlite_where=_OPEN, postgresql_where=_OPEN)
_HELD = text("lease_until IS NOT NULL")
Index("ix_deliveries_lease", deliveries.c.lease_until, sqlite_where=_HELD, postgresql_where=_HELD)
STUCK = text("state IN ('uncertain', 'failed', 'parked', 'missed')")
"""What only a person, or nobody, moves; in a query's condition as it stands, so that its index is used."""
Index(
    "ix_deliveries_stuck",
    deliveries.c.state,
    deliveries.c.moved_at,
    sqlite_where=STUCK,
    postgresql_where=STUCK,
)
Index("ix_deliveries_announcement", deliveries.c.announcement)

events = _table(
    "events",
    Column("id", _Id, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("announcement", String(32), nullable=False),
    Column("delivery_id", BigInteger),
    Column("attempt", Integer),
    Column("name", String(64), nullable=False),
    Column("actor", Text, nullable=False),  # who, as named with --as
    Column("account", Text, nullable=False),  # the operating system's user
    Column("detail", Text, nullable=False),  # JSON
)
Index("ix_events_announcement", events.c.announcement)

channels = _table(
    "channels",
    Column("name", String(40), primary_key=True),
    Column("failures", Integer, nullable=False, server_default=text("0")),  # in a row
    Column("paused_at", UtcTime),
    Column("retry_at", UtcTime),  # when one delivery tries whether it works again
    Column("reason", Text, nullable=False, server_default=""),
    Column("window_start", UtcTime),  # the minute whose sends are counted
    Column("window_count", Integer, nullable=False, server_default=text("0")),
)

halts = _table(
    "halts",
    Column("id", Integer, primary_key=True),  # at most one row: the switch is on
    Column("since", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("account", Text, nullable=False),
)

alerts = _table(
    "alerts",
    Column("cause", String(160), primary_key=True),  # one alert a cause; the row goes when it is over
    Column("message", Text, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("told_at", UtcTime),
    Column("told", Integer, nullable=False, server_default=text("0")),
)

workers = _table(
    "workers",
    Column("owner", String(80), primary_key=True),
    Column("seen_at", UtcTime, nullable=False),
)

subscribers = _table(
    "subscribers",
    Column("id", _Id, primary_key=True),
    Column("ref", String(16), nullable=False, unique=True),  # in tokens and Message-IDs, for ever
    Column("address", Text, nullable=False),  # as she wrote it
    Column("normal", Text, nullable=False, unique=True),  # as addresses are compared
    Column("name", Text, nullable=False, server_default=""),
    Column("reading", String(4), nullable=False),  # zh, en, both
    Column("state", String(16), nullable=False),
    Column("source", Text, nullable=False, server_default=""),
    Column("consent_at", UtcTime),
    Column("consent_how", Text, nullable=False, server_default=""),
    Column("consent_text", Text, nullable=False, server_default=""),
    Column(
        "bounces", Integer, nullable=False, server_default=text("0")
    ),  # soft ones since the last good sign
    Column("created_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)

memberships = _table(
    "memberships",
    Column("list", String(64), primary_key=True),
    Column("subscriber_id", ForeignKey("subscribers.id", ondelete="CASCADE"), primary_key=True),
)
Index("ix_memberships_subscriber_id", memberships.c.subscriber_id)

suppressions = _table(
    "suppressions",
    Column(
        "digest", String(64), primary_key=True
    ),  # SHA-256 of the normalised address: it outlives the address
    Column("reason", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("detail", Text, nullable=False, server_default=""),
)

mailings = _table(
    "mailings",
    Column("delivery_id", ForeignKey("deliveries.id"), primary_key=True),
    Column("upto", BigInteger, nullable=False, server_default=text("0")),  # subscribers listed so far, by id
    Column("last", BigInteger, nullable=False),  # the newest subscriber when it began
)

letters = _table(
    "letters",
    Column("id", _Id, primary_key=True),
    Column("delivery_id", ForeignKey("deliveries.id"), nullable=False),
    Column("subscriber_id", BigInteger, nullable=False),  # stays when the subscriber is deleted
    Column("state", String(8), nullable=False),
    Column("fence", Integer, nullable=False, server_default=text("0")),  # of the claim it was taken under
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("due_at", UtcTime),
    Column("answer", Text, nullable=False, server_default=""),
    Column("at", UtcTime),
    UniqueConstraint("delivery_id", "subscriber_id"),
)
UNSETTLED = text("letters.state IN ('listed', 'taken', 'deferred', 'unknown')")
"""What is not at its end; in a query's condition as it stands, so that its index is used."""
_UNSETTLED = text("state IN ('listed', 'taken', 'deferred', 'unknown')")
Index(
    "ix_letters_unsettled",
    letters.c.delivery_id,
    letters.c.state,
    letters.c.id,
    sqlite_where=_UNSETTLED,
    postgresql_where=_UNSETTLED,
)

bounces = _table(
    "bounces",
    Column("id", _Id, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),  # of the report: read twice, it counts once
    Column("at", UtcTime, nullable=False),
    Column("kind", String(16), nullable=False),  # hard, soft, delayed, complaint, unsubscribe, unknown
    Column("subscriber_id", BigInteger),
    Column("delivery_id", BigInteger),
    Column("status", String(16), nullable=False, server_default=""),  # 5.1.1
    Column("said", Text, nullable=False, server_default=""),  # the server's words
)
Index("ix_bounces_subscriber_id", bounces.c.subscriber_id)
Index("ix_bounces_delivery_id", bounces.c.delivery_id)
