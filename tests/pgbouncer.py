"""Debian's PgBouncer, with the configuration that docs/connections.md shows, as a process of a test's own."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.workers import until_sync

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
DOCS = (Path(__file__).parents[1] / "docs" / "connections.md").read_text()


@contextmanager
def pgbouncer(dsn: str, *, connections: int = 2) -> Iterator[str]:
    """The DSN of the same database by way of a PgBouncer that has so many connections to it."""
    if PROGRAM is None:
        pytest.skip("no pgbouncer here")
    options = conninfo_to_dict(dsn)
    host, user = str(options["host"]), str(options["user"])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = replaced(
        re.findall(r"^```ini\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)[0],
        {
            "host=127.0.0.1 port=5432": f"host={host} port={options.get('port', 5432)} user={user}",
            "listen_port = 6432": f"listen_port = {port}\nauth_type = any\nunix_socket_dir =",
            "default_pool_size = 20": f"default_pool_size = {connections}",
        },
    )
    with tempfile.TemporaryDirectory(prefix="wfg-pgbouncer-") as home:
        config_path, log_path = Path(home, "pgbouncer.ini"), Path(home, "log")
        config_path.write_text(config)
        os.chmod(home, 0o755)
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [PROGRAM, str(config_path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=None if os.geteuid() else owner_of(host),  # it refuses root
                extra_groups=None if os.geteuid() else [],
            )
        pooled = make_conninfo(dsn, host="127.0.0.1", port=port)

        def answers() -> bool:
            try:
                psycopg.connect(pooled).close()
            except psycopg.OperationalError:
                assert process.poll() is None, log_path.read_text()
                return False
            return True

        try:
            until_sync(answers)
            yield pooled
        finally:
            process.terminate()
            process.wait()


def replaced(text: str, parts: dict[str, str]) -> str:
    """The text with parts of it replaced, all of which must be there."""
    for old, new in parts.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def owner_of(host: str) -> str:
    """Who may pass to the socket: the user that its directory belongs to."""
    return pwd.getpwuid(os.stat(host).st_uid).pw_name if os.path.isdir(host) else "nobody"
