"""Subscribers, the suppression list, one row for each message of a newsletter, and what came back."""

import sqlalchemy as sa
from alembic import op

from publisher.store.schema import UtcTime

revision = "0006"
down_revision = "0005"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Adds tables; nothing that was there changes."""
    _subscribers()
    _letters()


def _subscribers() -> None:
    op.create_table(
        "subscribers",
        sa.Column("id", _ID, nullable=False),
        sa.Column("ref", sa.String(16), nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("normal", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False, server_default=""),
        sa.Column("reading", sa.String(4), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("source", sa.Text, nullable=False, server_default=""),
        sa.Column("consent_at", UtcTime),
        sa.Column("consent_how", sa.Text, nullable=False, server_default=""),
        sa.Column("consent_text", sa.Text, nullable=False, server_default=""),
        sa.Column("bounces", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("changed_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subscribers"),
        sa.UniqueConstraint("ref", name="uq_subscribers_ref"),
        sa.UniqueConstraint("normal", name="uq_subscribers_normal"),
    )
    op.create_table(
        "memberships",
        sa.Column("list", sa.String(64), nullable=False),
        sa.Column("subscriber_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("list", "subscriber_id", name="pk_memberships"),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name="fk_memberships_subscriber_id_subscribers",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_memberships_subscriber_id", "memberships", ["subscriber_id"])
    op.create_table(
        "suppressions",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("detail", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("digest", name="pk_suppressions"),
    )


def _letters() -> None:
    op.create_table(
        "mailings",
        sa.Column("delivery_id", _ID, nullable=False),
        sa.Column("upto", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_mailings"),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name="fk_mailings_delivery_id_deliveries"
        ),
    )
    op.create_table(
        "letters",
        sa.Column("id", _ID, nullable=False),
        sa.Column("delivery_id", _ID, nullable=False),
        sa.Column("subscriber_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("fence", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("due_at", UtcTime),
        sa.Column("answer", sa.Text, nullable=False, server_default=""),
        sa.Column("at", UtcTime),
        sa.PrimaryKeyConstraint("id", name="pk_letters"),
        sa.UniqueConstraint("delivery_id", "subscriber_id", name="uq_letters_delivery_id_subscriber_id"),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_letters_delivery_id_deliveries"),
    )
    unsettled = sa.text("state IN ('listed', 'taken', 'deferred', 'unknown')")
    op.create_index(
        "ix_letters_unsettled",
        "letters",
        ["delivery_id", "state", "id"],
        sqlite_where=unsettled,
        postgresql_where=unsettled,
    )
    op.create_table(
        "bounces",
        sa.Column("id", _ID, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger),
        sa.Column("delivery_id", sa.BigInteger),
        sa.Column("status", sa.String(16), nullable=False, server_default=""),
        sa.Column("said", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_bounces"),
        sa.UniqueConstraint("digest", name="uq_bounces_digest"),
    )
    op.create_index("ix_bounces_subscriber_id", "bounces", ["subscriber_id"])
    op.create_index("ix_bounces_delivery_id", "bounces", ["delivery_id"])
