"""What an upgrade costs those who work meanwhile: up, down and up again, under load.

    python -m tests.upgrades [--from 0001,0003] [--rounds 2] [--any-code] [--server 15|18|DIRECTORY]

For each sealed revision a database at that revision, in a Postgres of its own with fsync on, and at work
there: `wfg serve`, `wfg worker` over HTTP and over SQL, two workers that write the effect of a job in the
transaction that completes it, and a client that starts runs by SQL and by HTTP. The same once more of the
code of that revision, if the history of this checkout has it and it knows what to do when an upgrade
overtakes a call (--any-code: whether it does or not). Then the database goes up revision by revision, and
down to where it was, in each round, and up once more. Nothing is restarted. Prints a table; exit code 1 if
anything was lost, done twice, or seen by more than a call that was made again.
"""

import argparse
import hashlib
import io
import itertools
import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import psycopg
from psycopg.conninfo import make_conninfo
from wfg import migrate, revisions

from tests.bench.cluster import binaries
from tests.chaos import ARRANGE, GRAPHS, LEFT, MOST_OPEN, ROLES, SETTINGS, lost_and_twice, told_by
from tests.own_postgres import IMMEDIATE, OwnPostgres
from tests.servers import Process, free_port
from tests.workers import until_sync

ROOT = Path(__file__).parents[1]
CHAIN = [path.name[:4] for path in sorted(revisions.VERSIONS.glob("*.up.sql"))]
STARTS = [revision for name in revisions.sealed() if (revision := name[:4]) != CHAIN[-1]]
BREATH_SECS = 1.0  # between two steps
CALM_SECS = 30.0  # within which all must be done again
# As docs/upgrade.md has it: what a client of its own is to try again.
TRIED_AGAIN = (
    *("40001", "40P01", "55P03", "XX000"),
    *("0A000", "42703", "42704", "42804", "42883", "42P01"),
)
LINE = re.compile(r"^([0-9A-Z]{5})\|(wfg_[^|]*)\|([^|]*)\|(?:ERROR|FATAL|PANIC): +(.*)$", re.MULTILINE)


# --- steps ---

Step: TypeAlias = tuple[Callable[[str, str], None], str]


def up_from(revision: str) -> list[Step]:
    return [(migrate.upgrade, after) for after in CHAIN if after > revision]


def down_to(revision: str) -> list[Step]:
    return [(migrate.downgrade, before) for before in reversed(CHAIN[:-1]) if before >= revision]


# --- the code of a revision ---


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def last_commit_at(revision: str) -> str | None:
    """The last commit whose newest revision was this one, as it was sealed. None: the history is not here."""
    digests = {name[:4]: digest for name, digest in revisions.released().items() if name.endswith(".up.sql")}
    until = "HEAD"
    with suppress(subprocess.CalledProcessError, FileNotFoundError):
        for commit in git("log", "--format=%H", "--", "migrations/versions").decode().split():
            names = git("ls-tree", "--name-only", commit, "migrations/versions/").decode().split()
            newest = max(name for name in names if name.endswith(".up.sql"))
            text = git("show", f"{commit}:{newest}")
            if (Path(newest).name[:4], hashlib.sha256(text).hexdigest()) == (revision, digests[revision]):
                return until
            until = f"{commit}~1"
    return None


def knows_upgrades(commit: str) -> bool:
    """Whether its workers and servers try again what an upgrade has overtaken."""
    return b"def was_overtaken" in git("show", f"{commit}:app/db.py")


def unpack(commit: str, folder: Path) -> Path:
    """A folder for PYTHONPATH, with package wfg as it was then."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", commit, "app", "migrations"))) as archive:
        archive.extractall(folder, filter="data")
    (folder / "app").rename(folder / "wfg")
    (folder / "migrations").rename(folder / "wfg" / "migrations")
    return folder


# --- what is counted ---


@dataclass
class Row:
    """A line of the table."""

    revision: str
    steps: int  # up and down
    starts: int
    jobs: int
    states: Counter[str]  # of errors that sessions of the load had, as Postgres logged them
    stall_ms: float  # the longest time without a success, while the database went up and down
    calm_ms: float  # the same before
    step_ms: float  # the longest step
    lost: list[str]
    twice: list[str]
    fenced: int
    problems: list[str]

    @property
    def good(self) -> bool:
        return not (self.lost or self.twice or self.problems)

    def line(self) -> str:
        states = ", ".join(f"{count} × {state}" for state, count in self.states.most_common()) or "none"
        cells = [self.revision, self.steps, self.starts, self.jobs, states, f"{self.stall_ms:.0f}"]
        cells += [
            f"{self.calm_ms:.0f}",
            f"{self.step_ms:.0f}",
            len(self.lost),
            len(self.twice),
            self.fenced,
        ]
        cells.append(len(self.problems))
        return "| " + " | ".join(map(str, cells)) + " |"


HEAD = """\
| from | steps | starts | jobs | hidden | stall, ms | calm, ms | step, ms | lost | twice | fenced | seen |
|---|---|---|---|---|---|---|---|---|---|---|---|"""


# --- the load ---


@dataclass
class Load:
    """All that works on one database, which is at a revision of before."""

    home: Path
    postgres: OwnPostgres
    revision: str
    any_code: bool
    chance: random.Random = field(default_factory=lambda: random.Random(8))
    servers: list[Process] = field(default_factory=list)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ledgers: list[Path] = field(default_factory=list)
    worker_logs: list[Path] = field(default_factory=list)
    started: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def there(self) -> Iterator["Load"]:
        self.stack = ExitStack()
        self.numbers = itertools.count(1)
        self.stop = threading.Event()
        with self.stack:
            self.dsn = self.postgres.empty_database()
            migrate.upgrade(self.dsn)
            self.app_dsn = make_conninfo(self.dsn, user="chaos_app")
            with psycopg.connect(self.dsn) as connection:
                connection.execute(ARRANGE)
                connection.execute("grant usage on schema chaos to chaos_app")
                connection.execute("grant insert on chaos.effects to chaos_app")
                for name, jobs in GRAPHS.items():
                    definition = json.dumps({"name": name, "jobs": jobs})
                    connection.execute("select public.wfg_put_workflow(%s, %s)", (name, definition))
            self.stack.callback(self.end_workers)
            for _ in range(2):
                self.employ("effects")
            self.join()  # a server of this code does not start on an older database
            self.go(*down_to(self.revision))
            old = last_commit_at(self.revision)
            if old is not None and (self.any_code or knows_upgrades(old)):
                self.join(unpack(old, self.home / "code"))
            self.starter = threading.Thread(target=self.start_runs, daemon=True)
            self.starter.start()
            self.stack.callback(self.starter.join, 60)
            self.stack.callback(self.stop.set)
            yield self

    def join(self, code: Path | None = None) -> None:
        """A server, and a worker each way: of that code, or of ours."""
        env = {"PYTHONPATH": str(code)} if code else {}
        self.employ("sql", env=env)
        if code and not (code / "wfg" / "serve_command.py").exists():
            return  # it came later
        folder = self.home / f"api{next(self.numbers)}"
        (folder / "workflows").mkdir(parents=True)
        settings = {"DATABASE_URL": self.app_dsn, "PORT": str(free_port()), "REAP_INTERVAL_SECS": "1"}
        server = Process(folder, "serve", **settings, WFG_LOG="json", **env)
        self.servers.append(self.stack.enter_context(server))
        self.employ("http", server.url(), env)

    def employ(self, way: str, url: str = "", env: dict[str, str] | None = None) -> None:
        """A worker more. effects: writes them. http, sql: `wfg worker`."""
        name = f"{way}-{next(self.numbers)}"
        path = self.home / name
        if way == "effects":
            self.ledgers.append(path)
            arguments = ["tests.chaos_worker", "sql", self.app_dsn, name, str(path)]
        else:
            self.worker_logs.append(path)
            where = ("--server", url) if way == "http" else ("--database-url", self.app_dsn)
            options = ("--slots", "2", "--ttl", "5", "--poll", "0.2", "--worker-id", name)
            arguments = ["wfg", "worker", *where, *options]
        path.touch()
        with (self.home / f"{name}.err").open("wb") as errors, path.open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env={**os.environ, "WFG_LOG": "json", **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors if way == "effects" else log,
                cwd=ROOT if way == "effects" else self.home,
                start_new_session=True,
            )

    def end_workers(self) -> None:
        for process in self.workers.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    # --- the client ---

    def start_runs(self) -> None:
        """One after another, each until it is answered, by one door or another."""
        try:
            with (
                psycopg.connect(self.app_dsn, autocommit=True, application_name="client") as connection,
                httpx.Client(timeout=30) as http,
            ):
                for number in itertools.count():
                    graph = self.chance.choice([*GRAPHS])
                    while not (run := self.start(connection, http, graph, f"key {number}")):
                        if self.stop.wait(0.1):
                            return
                    self.started.add(run)
                    while self.stop.wait(0.1) or self.open_jobs() > MOST_OPEN:
                        if self.stop.is_set():
                            return
        except Exception as error:
            self.problems.append(f"the client ended: {error!r}")

    def start(self, connection: psycopg.Connection, http: httpx.Client, graph: str, key: str) -> str | None:
        """The run, if it was answered. An error that is to be tried again is no more than that."""
        door = self.chance.choice([connection, *self.servers])
        if isinstance(door, Process):
            path = f"{door.url()}/api/workflows/{graph}/runs"
            answer = http.post(path, json={"idempotency_key": key})
            if answer.status_code == 503:
                assert answer.headers["retry-after"], answer.text
                return None
            assert answer.is_success, answer.text
            return answer.json()["run_id"]
        call = "select public.wfg_start_run(p_workflow_id => %s, p_idempotency_key => %s)"
        try:
            row = door.execute(call, (graph, key)).fetchone()
        except psycopg.Error as error:
            if error.sqlstate not in TRIED_AGAIN:
                raise
            return None
        assert row is not None
        return row[0]["run_id"]

    def open_jobs(self) -> int:
        return self.ask("select count(*) from wfg.queue")

    def ask(self, query: str, *params: object) -> Any:
        """The owner's question: the first value."""
        with psycopg.connect(self.dsn, autocommit=True, application_name="owner") as connection:
            row = connection.execute(query.encode(), params).fetchone()
        return row and row[0]

    def successes(self) -> int:
        return self.ask("select count(*) from chaos.ends")

    # --- the ordeal ---

    def suffer(self, rounds: int) -> Row:
        """Up, down and up so often; then see what became of it."""
        until_sync(lambda: self.successes() >= 20, 60)
        before = time.time()
        time.sleep(2 * BREATH_SECS)
        begun = time.time()
        up, down = up_from(self.revision), down_to(self.revision)
        took = self.go(*[*up, *down] * rounds, *up, pause=BREATH_SECS)
        ended = time.time()

        self.wait_for(lambda: {*self.workers} - self.succeeded_since(ended), "no success any more")
        self.stop.set()
        self.starter.join(60)
        self.wait_for(lambda: self.ask(LEFT), "left to do")
        time.sleep(0.3)  # for workers to note what they were answered
        told = told_by(self.ledgers, self.worker_logs)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            lost, twice = lost_and_twice(connection, told, self.started)
            self.problems += [str(row) for row in connection.execute("select * from public.wfg_check(true)")]
            failed = "select run_id, job_no, worker_id, attempt, error from wfg.jobs where state = 'failure'"
            self.problems += [f"failed: {row}" for row in connection.execute(failed)]
        self.problems += self.not_hidden()
        return Row(
            revision=self.revision,
            steps=len(took),
            starts=len(self.started),
            jobs=self.successes(),
            states=self.errors(),
            stall_ms=self.longest_gap(begun, ended),
            calm_ms=self.longest_gap(before, begun),
            step_ms=max(took) * 1000,
            lost=lost,
            twice=twice,
            fenced=told.fenced,
            problems=self.problems,
        )

    def go(self, *steps: Step, pause: float = 0) -> list[float]:
        """The seconds that each took."""
        took = []
        for step, revision in steps:
            began_at = time.monotonic()
            step(self.dsn, revision)
            took.append(time.monotonic() - began_at)
            time.sleep(pause)
        return took

    def wait_for(self, left: Callable[[], Any], problem: str) -> None:
        """Until nothing is left; what still is then is a problem."""
        deadline = time.monotonic() + CALM_SECS
        while (those := left()) and time.monotonic() < deadline:
            time.sleep(0.1)
        if those:
            self.problems.append(f"{problem}: {those}")

    def succeeded_since(self, since: float) -> set[str]:
        """Workers that did."""
        query = "select array_agg(distinct worker_id) from chaos.ends where at >= to_timestamp(%s)"
        return set(self.ask(query, since) or [])

    def longest_gap(self, since: float, until: float) -> float:
        """Milliseconds between two successes, at most."""
        query = """
          select max(extract(epoch from gap)) * 1000.0
            from (select at - lag(at) over (order by at) as gap
                    from (select to_timestamp(%s) as at union all select to_timestamp(%s)
                          union all select at from chaos.ends) e
                   where at between to_timestamp(%s) and to_timestamp(%s)) g
        """
        return float(self.ask(query, since, until, since, until))

    def errors(self) -> Counter[str]:
        """By SQLSTATE: what Postgres refused to sessions of the load, the engine's own refusals aside."""
        return Counter(
            state
            for state, _, name, _ in LINE.findall((self.postgres.home / "log").read_text(errors="replace"))
            if name != "wfg-migrations" and not state.startswith("PT")
        )

    def not_hidden(self) -> list[str]:
        """What more than a call that is made again has noticed: processes that ended, lines of errors."""
        found = [
            f"{name} ended: {(self.home / f'{name}.err').read_text()[-500:]}"
            for name, process in self.workers.items()
            if process.poll() is not None
        ]
        found += [
            f"a server ended: {s.stderr()[-500:]}" for s in self.servers if s.process.poll() is not None
        ]
        logs = [*((path.name, path.read_text()) for path in self.worker_logs)]
        logs += [(server.folder.name, server.stderr()) for server in self.servers]
        return found + [
            f"{name} says: {line[:500]}"
            for name, text in logs
            for line in text.splitlines()
            if is_error(line)
        ]


def is_error(line: str) -> bool:
    """Of a log: JSON, or plain where the code is too old for it."""
    try:
        return json.loads(line)["level"] not in ("info", "warning")
    except (ValueError, TypeError, KeyError):
        return any(word in line for word in ("ERROR", "Error", "CRITICAL", "Traceback"))


def suffer_all(server: str, names: Sequence[str], rounds: int, *, any_code: bool = False) -> Iterator[Row]:
    """A row for each of these revisions, each in a Postgres of its own."""
    for revision in names:
        with tempfile.TemporaryDirectory(
            prefix="wfg-upgrades-", dir="/var/tmp", ignore_cleanup_errors=True
        ) as home:
            os.chmod(home, 0o711)
            settings = {"unix_socket_directories": f"{home}/postgres", "log_line_prefix": "%e|%d|%a|"}
            postgres = OwnPostgres(binaries(server), Path(home) / "postgres", {**SETTINGS, **settings})
            try:
                with psycopg.connect(postgres.dsn) as connection:
                    for role in ("worker", "operator", "reader", "server"):
                        connection.execute(f"create role wfg_{role}".encode())
                    connection.execute(ROLES.partition("grant ")[0].encode())
                with Load(Path(home), postgres, revision, any_code).there() as load:
                    yield load.suffer(rounds)
            finally:
                postgres.stop(IMMEDIATE)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrades")
    parser.add_argument("--from", dest="names", default=",".join(STARTS))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--any-code", action="store_true", help="old code that does not know of upgrades, too"
    )
    parser.add_argument("--server", default="auto", help="15, 18, or a directory with programs")
    given = parser.parse_args()

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and nothing is left behind
    cores = len(os.sched_getaffinity(0))
    print(
        f"Python {platform.python_version()}, {cores} cores, load {os.getloadavg()[0]:.1f}\n\n{HEAD}",
        flush=True,
    )
    good = True
    for row in suffer_all(given.server, given.names.split(","), given.rounds, any_code=given.any_code):
        print(row.line(), flush=True)
        if not row.good:
            good = False
            print(*row.lost[:10], *row.twice[:10], *row.problems[:20], sep="\n", flush=True)
    return not good


if __name__ == "__main__":
    sys.exit(main())
