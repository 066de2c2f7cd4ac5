"""When a delivery last moved, and an index on those that a person must see to: a million others cost nothing."""

import sqlalchemy as sa
from alembic import op

from publisher.store.schema import UtcTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds one column, filled in from the log for the deliveries that stand still, and its index."""
    op.add_column("deliveries", sa.Column("moved_at", UtcTime))
    op.execute(
        "UPDATE deliveries SET moved_at = (SELECT max(events.at) FROM events "
        "WHERE events.announcement = deliveries.announcement AND events.delivery_id = deliveries.id) "
        "WHERE state IN ('uncertain', 'failed', 'parked', 'missed')"
    )
    where = sa.text("state IN ('uncertain', 'failed', 'parked', 'missed')")
    op.create_index(
        "ix_deliveries_stuck",
        "deliveries",
        ["state", "moved_at"],
        sqlite_where=where,
        postgresql_where=where,
    )
