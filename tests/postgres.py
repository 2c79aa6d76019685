"""The server's own programs, and a dump that two databases can be compared by."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from wfg import embedded

# Where .ci/postgres17 put them.
PG17 = Path(os.environ.get("WFG_PG17_BIN", "/opt/wfg-postgres-17/usr/lib/postgresql/17/bin"))


def program(name: str, dsn: str) -> str:
    """psql or pg_dump of the server's major version; without it the test is skipped."""
    with psycopg.connect(dsn) as connection:
        major = connection.info.server_version // 10000

    candidates = [Path(f"/usr/lib/postgresql/{major}/bin/{name}"), Path(shutil.which(name) or name)]
    if major == 17:
        candidates.insert(0, PG17 / name)
    if major == embedded.MAJOR:
        candidates.insert(0, embedded.find_binaries() / name)
    for path in candidates:
        if path.exists() and f" {major}." in run([str(path), "--version"]):
            return str(path)
    pytest.skip(f"no {name} of version {major} here")


def run(command: list[str], *, stdin: str = "", **env: str) -> str:
    """Run a command; its stdout. It must succeed."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env={**os.environ, **env})
    assert done.returncode == 0, f"{command} answered {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def dump(dsn: str) -> str:
    """The schema, comments and grants of a database as text, but for alembic's own table."""
    command = [program("pg_dump", dsn), "--schema-only", "--exclude-table=wfg.alembic_version", dsn]
    return re.sub(r"^\\(un)?restrict .*\n", "", run(command), flags=re.MULTILINE)
