"""limits."""

from wfg.migrations.frozen import run

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run("0005_limits.up.sql")


def downgrade() -> None:
    run("0005_limits.down.sql")
