"""A Postgres of a test's own, which may be stopped, killed and started again."""

import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo
from wfg import embedded

from tests.bench.cluster import user_of
from tests.conftest import load_sql
from tests.postgres import program
from tests.workers import until_sync

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
STARTING = (psycopg.errors.CannotConnectNow, psycopg.OperationalError)
# As the server comes: a restart must not lose what was accepted, so nothing is turned off.
SETTINGS = {"listen_addresses": "", "max_connections": "40", "shared_buffers": "32MB", "timezone": "UTC"}


class OwnPostgres:
    """It keeps its data and its socket from one start to the next."""

    def __init__(
        self, bin_dir: Path, home: Path, settings: Mapping[str, str], primary: "OwnPostgres | None" = None
    ) -> None:
        """primary: of which it is to be a standby, by streaming."""
        self.bin_dir, self.home = bin_dir, home
        self.settings = {**SETTINGS, "unix_socket_directories": str(home), **settings}
        self.user = user_of(bin_dir)
        self.dsn = f"postgresql://postgres@/postgres?host={home}"
        for path in (home, home / "data"):
            embedded.prepare_dir(path, self.user)
        if primary is None:
            options = (
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            )
            made = self._popen("initdb", f"--pgdata={home}/data", *options)
        else:
            options = (
                "--username=postgres",
                f"--host={primary.home}",
                "--checkpoint=fast",
                "--write-recovery-conf",
            )
            made = self._popen("pg_basebackup", f"--pgdata={home}/data", "--wal-method=stream", *options)
        assert made.wait() == 0, (home / "log").read_text()
        self.start()

    def start(self) -> None:
        arguments = [f"--{name}={value}" for name, value in self.settings.items()]
        self.process = self._popen("postgres", "-D", f"{self.home}/data", *arguments)
        self.watchdog = embedded.watch(self.process.pid, self.home / "data", [])
        until_sync(self.answers)

    def answers(self) -> bool:
        try:
            psycopg.connect(self.dsn).close()
        except psycopg.OperationalError:
            assert self.process.poll() is None, (self.home / "log").read_text()
            return False
        return True

    def stop(self, how: signal.Signals = FAST) -> None:
        """Fast: sessions are ended in order. Immediate: as if the machine had failed."""
        self.process.send_signal(how)
        self.process.wait()
        assert self.watchdog.stdin is not None
        self.watchdog.stdin.write(b"done\n")
        self.watchdog.stdin.close()
        self.watchdog.wait()

    def restart(self, how: signal.Signals = FAST) -> None:
        self.stop(how)
        self.start()

    def new_database(self) -> str:
        """The DSN of a new database that has the engine."""
        dsn = self.empty_database()
        load_sql(dsn)
        return dsn

    def empty_database(self) -> str:
        """The DSN of a new database."""
        name = f"wfg_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"create database {name}")  # pyright: ignore
        return make_conninfo(self.dsn, dbname=name)

    def _popen(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.home / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self.bin_dir / name), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                user=self.user,
                extra_groups=None if self.user is None else [],
                start_new_session=True,
            )


@contextmanager
def own_postgres(server: str, **settings: str) -> Iterator[OwnPostgres]:
    """One of the same version as the tests' server, for the block. In settings, HOME is its folder."""
    bin_dir = Path(program("postgres", server)).parent
    in_memory = embedded.MEMORY if embedded.has_room(embedded.MEMORY) else None
    with tempfile.TemporaryDirectory(prefix="wfg-own-", dir=in_memory, ignore_cleanup_errors=True) as home:
        os.chmod(home, 0o711)
        settings = {name: value.replace("HOME", home) for name, value in settings.items()}
        postgres = OwnPostgres(bin_dir, Path(home), settings)
        try:
            yield postgres
        finally:
            postgres.stop(IMMEDIATE)
