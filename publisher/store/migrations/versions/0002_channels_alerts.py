"""Channels that pause, a switch that halts everything, alerts, and deliveries that correct or retract."""

import sqlalchemy as sa
from alembic import op

from publisher.store.schema import UtcTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds tables and one column; nothing that is there changes."""
    op.add_column("deliveries", sa.Column("action", sa.String(8), nullable=False, server_default="publish"))
    op.create_table(
        "channels",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("failures", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("paused_at", UtcTime),
        sa.Column("retry_at", UtcTime),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("window_start", UtcTime),
        sa.Column("window_count", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("name", name="pk_channels"),
    )
    op.create_table(
        "halts",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("since", UtcTime, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_halts"),
    )
    op.create_table(
        "alerts",
        sa.Column("cause", sa.String(160), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("opened_at", UtcTime, nullable=False),
        sa.Column("told_at", UtcTime),
        sa.Column("told", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("cause", name="pk_alerts"),
    )
    op.create_table(
        "workers",
        sa.Column("owner", sa.String(80), nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_workers"),
    )
