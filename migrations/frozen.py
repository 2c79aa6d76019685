"""Runs a frozen SQL file byte for byte: the same text online, offline and from psql.

Not op.execute(), which takes ` :word` for a bind parameter, nor exec_driver_sql(), which rewrites `%s` inside
of function bodies.
"""

from pathlib import Path

from alembic import context, op
from wfg.revision_locks import Patience, run_with_locks

VERSIONS = Path(__file__).parent / "versions"


def run(name: str) -> None:
    """Run versions/<name> in the revision's transaction; in offline mode print it."""
    text = (VERSIONS / name).read_bytes().decode()
    if context.is_offline_mode():
        op.get_context().impl.static_output(text)
        return
    patience = context.config.attributes.get("patience") or Patience()
    run_with_locks(op.get_bind().connection.driver_connection, text, name, patience)
