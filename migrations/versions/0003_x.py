"""x."""

from wfg.migrations.frozen import run

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run("0003_x.up.sql")


def downgrade() -> None:
    run("0003_x.down.sql")
