"""Pictures, each once by its hash. They are sealed with the variants that show them, and so are written once, too."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds one table and its guards."""
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
