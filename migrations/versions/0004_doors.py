"""doors."""

from wfg.migrations.frozen import run

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run("0004_doors.up.sql")


def downgrade() -> None:
    run("0004_doors.down.sql")
