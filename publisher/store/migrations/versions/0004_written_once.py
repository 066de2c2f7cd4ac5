"""What is signed and what is owed is written once: seals, variants and content, too, and no delivery is deleted.

PostgreSQL's TRUNCATE passes by the triggers of rows, so it has one of its own. The index of what is due is in the
order of claiming.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_GUARDS = {
    "seals": "UPDATE OR DELETE",
    "variants": "UPDATE OR DELETE",
    "revisions": "UPDATE OF announcement, number, content, content_hash, author, created_at OR DELETE",
    "deliveries": "DELETE",
}
_NEVER_EMPTIED = ("events", "parts", *_GUARDS)


def upgrade() -> None:
    """Adds triggers and makes an index anew; no table changes."""
    still_open = sa.text("state IN ('waiting', 'uncertain')")
    op.drop_index("ix_deliveries_due", "deliveries")
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["due_at", "id"],
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
    if op.get_bind().dialect.name == "sqlite":
        for table, guard in _GUARDS.items():
            for number, action in enumerate(guard.split(" OR ")):
                op.execute(
                    f"CREATE TRIGGER {table}_kept_{number} BEFORE {action} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} are written once'); END"
                )
        return
    for table, guard in _GUARDS.items():
        op.execute(
            f"CREATE TRIGGER {table}_kept BEFORE {guard} ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_rewriting()"
        )
    for table in _NEVER_EMPTIED:
        op.execute(
            f"CREATE TRIGGER {table}_never_emptied BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()"
        )
