"""tokens."""

from wfg.migrations.frozen import run

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run("0002_tokens.up.sql")


def downgrade() -> None:
    run("0002_tokens.down.sql")
