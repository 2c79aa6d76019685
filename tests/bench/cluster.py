"""A throwaway Postgres cluster that keeps its promises: fsync on, on a real disk."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from wfg import embedded
from wfg.revisions import sql_files

DEBIAN = Path(os.environ.get("WFG_PG15_BIN", "/usr/lib/postgresql/15/bin"))

# What a small server of one's own would have. All else is Postgres's default: fsync, synchronous_commit,
# full_page_writes and autovacuum are on.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "track_wal_io_timing": "on",
    "timezone": "UTC",
    "log_min_messages": "warning",
}
# Printed with every table.
SHOWN = (
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "jit",
    "autovacuum",
)
TEMPLATE = "wfg_template"

FSYNCS = "select wal_sync, wal_sync_time from pg_stat_wal"
FSYNCS_18 = "select sum(fsyncs)::float8, sum(fsync_time)::float8 from pg_stat_io where object = 'wal'"


@dataclass(frozen=True)
class Cluster:
    """A running cluster, with a template database that has sql/ loaded."""

    bin_dir: Path
    dsn: str  # of the superuser, database postgres
    log_file: Path

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(make_conninfo(self.dsn, dbname=database), autocommit=True)

    def create(self, name: str, template: str = TEMPLATE) -> str:
        """Make a database anew; its name."""
        self.drop(name)
        with self.connect() as connection:
            query = sql.SQL("create database {} template {}")
            connection.execute(query.format(sql.Identifier(name), sql.Identifier(template)))
        return name

    def drop(self, name: str) -> None:
        with self.connect() as connection:
            query = sql.SQL("drop database if exists {} with (force)")
            connection.execute(query.format(sql.Identifier(name)))

    def fsync_ms(self) -> float | None:
        """The mean time of an fsync of the WAL since the last call: what a slow disk adds to everything."""
        with self.connect() as connection:
            new = connection.info.server_version >= 180000
            row = connection.execute(FSYNCS_18 if new else FSYNCS).fetchone()
            connection.execute("select pg_stat_reset_shared(%s)", ["io" if new else "wal"])
        return None if row is None or not row[0] else row[1] / row[0]

    def describe(self) -> dict[str, str]:
        """What figures depend on: version, machine, settings."""
        with self.connect() as connection:
            version = connection.execute("select split_part(version(), ' on ', 1)").fetchone()
            settings = {name: connection.execute(f"show {name}").fetchone() for name in SHOWN}
        return {
            "server": version[0] if version else "",
            "cores": str(len(os.sched_getaffinity(0))),
            "load before": f"{os.getloadavg()[0]:.1f}",
            **{name: row[0] if row else "" for name, row in settings.items()},
        }


def binaries(server: str) -> Path:
    """The programs of a server: 15 (Debian's), 18 (the embedded one), a directory; auto is 15 if here."""
    if server == "auto":
        server = "15" if (DEBIAN / "initdb").exists() else "18"
    match server:
        case "15":
            return DEBIAN
        case "18":
            return embedded.find_binaries()
        case path:
            return Path(path)


def user_of(bin_dir: Path) -> str | None:
    """Whom the server runs as; None: as ourselves. Postgres refuses root."""
    if os.geteuid() != 0:
        return None
    return embedded.server_user(bin_dir) if bin_dir == embedded.find_binaries() else "postgres"


@contextmanager
def running(
    server: str = "auto", *, base: str | None = None, settings: Mapping[str, str] | None = None
) -> Generator[Cluster]:
    """A cluster in a temporary directory below base, gone at the end of the block, or when we are killed."""
    bin_dir = binaries(server)
    user = user_of(bin_dir)
    home = Path(tempfile.mkdtemp(prefix="wfg-bench-", dir=base))
    data_dir, log_file = home / "data", home / "log"
    started: subprocess.Popen[bytes] | None = None

    try:
        for path in (home, data_dir):
            embedded.prepare_dir(path, user)
        options = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        run(bin_dir / "initdb", f"--pgdata={data_dir}", *options, user=user)
        arguments = {**SETTINGS, "unix_socket_directories": str(home), **(settings or {})}
        with log_file.open("wb") as log:
            started = subprocess.Popen(
                [bin_dir / "postgres", "-D", data_dir, *(f"--{k}={v}" for k, v in arguments.items())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                user=user,
                extra_groups=None if user is None else [],
                start_new_session=True,  # Ctrl-C is for us
            )
        watchdog = embedded.watch(started.pid, data_dir, [home])
        port = (settings or {}).get("port", "5432")
        cluster = Cluster(bin_dir, f"postgresql://postgres@/postgres?host={home}&port={port}", log_file)
        wait_until_ready(cluster, started)
        cluster.create(TEMPLATE, "template0")
        with cluster.connect(TEMPLATE) as connection, connection.transaction():
            for path in sql_files():
                connection.execute(path.read_bytes())

        yield cluster

        assert watchdog.stdin is not None
        stop(started)
        watchdog.stdin.write(b"done\n")
        watchdog.stdin.close()
        watchdog.wait()
    finally:
        if started is not None:
            stop(started)
        shutil.rmtree(home, ignore_errors=True)


def stop(started: subprocess.Popen[bytes]) -> None:
    """End the cluster at once: nothing of it is kept."""
    if started.poll() is None:
        started.send_signal(signal.SIGQUIT)
        started.wait()


def wait_until_ready(cluster: Cluster, started: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            cluster.connect().close()
            return
        except psycopg.OperationalError:
            if started.poll() is not None:
                break
            time.sleep(0.05)
    raise RuntimeError(f"Postgres did not start:\n{cluster.log_file.read_text(errors='replace')[-4000:]}")


def run(*command: object, user: str | None = None) -> str:
    """Run a program; its output. It must succeed."""
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd="/",
        user=user,
        extra_groups=None if user is None else [],
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
