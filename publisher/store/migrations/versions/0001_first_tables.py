"""The first tables, and what the database itself refuses: rewriting the log or sealed bytes."""

import sqlalchemy as sa
from alembic import op

from publisher.store.schema import UtcTime

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WRITTEN_ONCE = ("events", "parts")


def upgrade() -> None:
    """Makes all tables."""
    op.create_table(
        "announcements",
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("channels", sa.Text, nullable=False),
        sa.Column("publish_local", sa.String(19), nullable=False, server_default=""),
        sa.Column("publish_zone", sa.String(64), nullable=False, server_default=""),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_announcements"),
    )
    op.create_table(
        "revisions",
        sa.Column("id", _ID, nullable=False),
        sa.Column("announcement", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("submitter", sa.Text, nullable=False, server_default=""),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revisions"),
        sa.ForeignKeyConstraint(["announcement"], ["announcements.key"], name="fk_revisions_announcement"),
        sa.UniqueConstraint("announcement", "number", name="uq_revisions_announcement_number"),
    )
    op.create_table(
        "seals",
        sa.Column("id", _ID, nullable=False),
        sa.Column("revision_id", _ID, nullable=False),
        sa.Column("approver", sa.Text, nullable=False),
        sa.Column("canonical", sa.String(40), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_seals"),
        sa.ForeignKeyConstraint(["revision_id"], ["revisions.id"], name="fk_seals_revision_id"),
        sa.UniqueConstraint("revision_id", name="uq_seals_revision_id"),
    )
    op.create_table(
        "variants",
        sa.Column("id", _ID, nullable=False),
        sa.Column("seal_id", _ID, nullable=False),
        sa.Column("channel", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("languages", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_variants"),
        sa.ForeignKeyConstraint(["seal_id"], ["seals.id"], name="fk_variants_seal_id"),
        sa.UniqueConstraint("seal_id", "channel", "languages", name="uq_variants_seal_id_channel_languages"),
    )
    op.create_table(
        "parts",
        sa.Column("variant_id", _ID, nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("media_type", sa.String(40), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("variant_id", "name", name="pk_parts"),
        sa.ForeignKeyConstraint(["variant_id"], ["variants.id"], name="fk_parts_variant_id"),
    )
    _deliveries()
    op.create_table(
        "events",
        sa.Column("id", _ID, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("announcement", sa.String(32), nullable=False),
        sa.Column("delivery_id", sa.BigInteger),
        sa.Column("attempt", sa.Integer),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_announcement", "events", ["announcement"])
    _refuse_rewriting()


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", _ID, nullable=False),
        sa.Column("key", sa.String(120), nullable=False),
        sa.Column("announcement", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("variant_id", _ID, nullable=False),
        sa.Column("channel", sa.String(40), nullable=False),
        sa.Column("scope", sa.String(4), nullable=False),
        sa.Column("canonical", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due_at", UtcTime),
        sa.Column("not_after", UtcTime),
        sa.Column("attempt", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("probes", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("fence", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("owner", sa.String(80), nullable=False, server_default=""),
        sa.Column("lease_until", UtcTime),
        sa.Column("tried_since", UtcTime),
        sa.Column("receipt", sa.Text, nullable=False, server_default=""),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["announcement"], ["announcements.key"], name="fk_deliveries_announcement"),
        sa.ForeignKeyConstraint(["variant_id"], ["variants.id"], name="fk_deliveries_variant_id"),
        sa.UniqueConstraint("key", name="uq_deliveries_key"),
    )
    still_open = sa.text("state IN ('waiting', 'uncertain')")
    op.create_index(
        "ix_deliveries_due", "deliveries", ["due_at"], sqlite_where=still_open, postgresql_where=still_open
    )
    held = sa.text("lease_until IS NOT NULL")
    op.create_index(
        "ix_deliveries_lease", "deliveries", ["lease_until"], sqlite_where=held, postgresql_where=held
    )
    op.create_index("ix_deliveries_announcement", "deliveries", ["announcement"])


def _refuse_rewriting() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in _WRITTEN_ONCE:
            for action in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} are written once'); END"
                )
        return
    op.execute(
        "CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% are written once', TG_TABLE_NAME; END $$"
    )
    for table in _WRITTEN_ONCE:
        op.execute(
            f"CREATE TRIGGER {table}_written_once BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_rewriting()"
        )
