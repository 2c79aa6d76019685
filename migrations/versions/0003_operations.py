"""operations."""

from wfg.migrations.frozen import run

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run("0003_operations.up.sql")


def downgrade() -> None:
    run("0003_operations.down.sql")
