"""Pictures, each once by its hash; and what was accepted and is still looked for is found like what is due.

Pictures are sealed with the variants that show them, and so are written once, too.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds one table and its guards, and makes the index of what is due anew."""
    still_open = sa.text("(state IN ('waiting', 'uncertain') OR state = 'accepted' AND due_at IS NOT NULL)")
    op.drop_index("ix_deliveries_due", "deliveries")
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["due_at", "id"],
        sqlite_where=still_open,
        postgresql_where=still_open,
    )
    op.create_table(
        "pictures",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_pictures"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for number, action in enumerate(("UPDATE", "DELETE")):
            op.execute(
                f"CREATE TRIGGER pictures_kept_{number} BEFORE {action} ON pictures "
                "BEGIN SELECT RAISE(ABORT, 'pictures are written once'); END"
            )
        return
    op.execute(
        "CREATE TRIGGER pictures_kept BEFORE UPDATE OR DELETE ON pictures "
        "FOR EACH ROW EXECUTE FUNCTION refuse_rewriting()"
    )
    op.execute(
        "CREATE TRIGGER pictures_never_emptied BEFORE TRUNCATE ON pictures "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting()"
    )
