"""An hour of mixed load at a fixed rate, with a transaction held open for ten minutes of it.

    python -m tests.soak [--minutes 60] [--hold-minutes 10] [--rate 5] [--server 15|18|DIRECTORY] [--out FILE]
    python -m tests.soak --quick
    python -m tests.soak --report FILE

A Postgres of its own with fsync on and autovacuum as it comes, two `wfg serve` that prune what is older than
five minutes, four `wfg worker`, over HTTP and over SQL, and a worker that writes the effect of a job in the
transaction that completes it. What is measured goes into a file, a JSON object a line; the table is made of
that file alone, also while it is being written, or after a crash. Exit code 1 when a bar is missed.

Times shorter than an hour: everything happens at the same parts of it, and a minute is a sixtieth of it.
"""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import tuple_row

from tests.bench.cluster import binaries
from tests.chaos import answers
from tests.own_postgres import IMMEDIATE, OwnPostgres
from tests.servers import Process
from tests.soak_load import AT_ONCE, CONTROL_ROWS, GRAPHS, Load, as_line
from tests.soak_report import Report
from tests.soak_samples import (
    read_backends,
    read_process,
    read_queue_times,
    read_sizes,
    read_work,
)

ROOT = Path(__file__).parents[1]
USER = "soak_app"
SAMPLE_SECS = 10.0
CALM_SECS = 120.0
KEPT_SECS = 300  # an ended run, of an hour
SETTINGS = {"max_connections": "100", "shared_buffers": "128MB", "max_wal_size": "256MB", "fsync": "on"}
# The owner's view, beside the engine: what began and ended, noted in the very transactions, and never pruned.
ARRANGE = f"""
create schema chaos;   -- of tests/chaos_worker.py
create table chaos.effects (lease_id text not null);
create schema soak;
create table soak.control (id integer primary key, n integer not null);
insert into soak.control select n, 0 from generate_series(0, {CONTROL_ROWS - 1}) n;
create table soak.runs (id uuid not null, version_id bigint not null, workflow_id text not null, key text);
create table soak.run_ends (id uuid not null, state text not null);
create table soak.job_ends (
  run_id uuid not null, job_no integer not null, state text not null, nonce uuid, worker_id text
);
create table soak.accepted (run text not null, job text not null, by text not null);
create table soak.started (id text not null);

create function soak.note_run() returns trigger language plpgsql security definer as $$
begin
  insert into soak.runs values (new.id, new.version_id, new.workflow_id, new.idempotency_key);
  return null;
end;
$$;
create function soak.note_run_end() returns trigger language plpgsql security definer as $$
begin
  insert into soak.run_ends values (new.id, new.state);
  return null;
end;
$$;
create function soak.note_job_end() returns trigger language plpgsql security definer as $$
begin
  insert into soak.job_ends values (new.run_id, new.job_no, new.state, new.lease_nonce, new.worker_id);
  return null;
end;
$$;
create trigger soak_note_run after insert on wfg.runs for each row execute function soak.note_run();
create trigger soak_note_run_end after update on wfg.runs for each row
  when (new.state <> 'active' and old.state is distinct from new.state) execute function soak.note_run_end();
create trigger soak_note_job_end after update on wfg.jobs for each row
  when (new.state <> 'queued' and old.state is distinct from new.state) execute function soak.note_job_end();
"""
ROLES = f"""
create role {USER} login in role wfg_worker, wfg_operator, wfg_reader, wfg_server;
alter role {USER} set idle_in_transaction_session_timeout = '5s';
grant usage on schema chaos to {USER};
grant insert on chaos.effects to {USER};
"""
LEFT = "select (select count(*) from wfg.queue) + (select count(*) from wfg.runs where state = 'active')"
TOTALS = (
    "select count(*) from soak.runs",
    "select count(*) from soak.job_ends",
    "select public.wfg_doctor()",
)
ENDS = " or ".join(
    f"r.workflow_id = '{name}' and e.state = any ('{{{','.join(graph.ends)}}}')"
    for name, graph in GRAPHS.items()
)
EFFECTS = """
with effects as materialized (
  select split_part(e.lease_id, '.', 1)::uuid as run_id, split_part(e.lease_id, '.', 2)::integer as job_no,
         split_part(e.lease_id, '.', 3)::uuid as nonce
    from chaos.effects e
)
"""
LOST = {
    "was answered started": """
        select s.id from soak.started s where not exists (select from soak.runs r where r.id::text = s.id)""",
    "a run without an end": """
        select r.id from soak.runs r where not exists (select from soak.run_ends e where e.id = r.id)""",
    "a run that ended otherwise": f"""
        select r.workflow_id || ' ' || e.state || ' ' || r.id
          from soak.runs r join soak.run_ends e using (id) where not ({ENDS})""",
    "a job without an end": "select j.run_id || '.' || j.job_no from wfg.jobs j where j.state = 'queued'",
    "was answered success": """
        select a.run || ' ' || a.job from soak.accepted a where not exists (
          select from soak.runs r
            join wfg.job_specs s on s.version_id = r.version_id and s.key = a.job
            join soak.job_ends e on e.run_id = r.id and e.job_no = s.job_no and e.state = 'success'
           where r.id = a.run::uuid)""",
    "an effect without its success": f"""
        {EFFECTS} select f.run_id || '.' || f.job_no from effects f where not exists (
          select from soak.job_ends e
           where (e.run_id, e.job_no, e.nonce) = (f.run_id, f.job_no, f.nonce) and e.state = 'success')""",
    "a success without its effect": f"""
        {EFFECTS} select e.run_id || '.' || e.job_no from soak.job_ends e
         where e.state = 'success' and e.worker_id like 'effects%' and not exists (
           select from effects f where (f.run_id, f.job_no, f.nonce) = (e.run_id, e.job_no, e.nonce))""",
}
TWICE = {
    "two effects": f"""
        {EFFECTS} select f.run_id || '.' || f.job_no from effects f
         group by f.run_id, f.job_no having count(*) > 1""",
    "two ends of a job": """
        select e.run_id || '.' || e.job_no from soak.job_ends e
         group by e.run_id, e.job_no having count(*) > 1""",
    "two ends of a run": "select e.id from soak.run_ends e group by e.id having count(*) > 1",
    "two runs of one key": """
        select r.key from soak.runs r where r.key is not null
         group by r.workflow_id, r.key having count(*) > 1""",
    "two attempts were answered success": """
        select a.run || ' ' || a.job from soak.accepted a
         group by a.run, a.job having count(distinct a.by) > 1""",
}


def count_up(connection: psycopg.Connection, queries: dict[str, str]) -> list[str]:
    """Each thing that should not be, with what it is."""
    cursor = connection.cursor(row_factory=tuple_row)
    return [
        f"{name}: {what}" for name, query in queries.items() for (what,) in cursor.execute(query.encode())
    ]


@dataclass(frozen=True)
class Plan:
    """Seconds."""

    secs: float = 3600
    hold_secs: float = 600
    rate: float = 5

    @property
    def minute(self) -> float:
        """Of the hour that this stands for."""
        return self.secs / 60

    @property
    def hold_from(self) -> float:
        return self.secs / 3

    @property
    def sample_secs(self) -> float:
        return min(SAMPLE_SECS, self.minute)

    @property
    def kept_secs(self) -> int:
        return max(30, round(KEPT_SECS * self.secs / 3600))

    @property
    def lag_secs(self) -> float:
        """After which the start of a run's first job is looked up; it is not pruned by then."""
        return self.kept_secs / 10


@dataclass
class World:
    """All that runs, and the file."""

    home: Path
    bin_dir: Path
    plan: Plan
    out: Path
    postgres: OwnPostgres = field(init=False)
    apis: dict[str, Process] = field(default_factory=dict)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ledgers: list[Path] = field(default_factory=list)
    worker_logs: list[Path] = field(default_factory=list)

    @contextmanager
    def there(self) -> Iterator["World"]:
        self.lock, self.noted = threading.Lock(), Counter[str]()
        self.stack = ExitStack()
        with self.stack:
            self.file = self.stack.enter_context(self.out.open("w", buffering=1))
            self.postgres = OwnPostgres(
                self.bin_dir,
                self.home / "postgres",
                # Of less than half an hour: autovacuum looks as often, for its length.
                {**SETTINGS, "autovacuum_naptime": f"{max(1, min(60, round(self.plan.secs / 30)))}s"},
            )
            self.stack.callback(self.postgres.stop, IMMEDIATE)
            self.dsn = self.postgres.new_database()
            with self.connect() as connection:
                connection.execute((ARRANGE + ROLES).encode())
            self.app_dsn = make_conninfo(self.dsn, user=USER)
            for number in (1, 2):
                self.apis[f"wfg serve {number}"] = self.serve(number)
            urls = [api.url() for api in self.apis.values()]
            self.stack.callback(self.end_workers)
            for number, url in enumerate(urls, 1):
                self.employ(f"http-{number}", "--server", url)
                self.employ(f"sql-{number}", "--database-url", self.app_dsn)
            self.employ("effects-1")
            told = self.home / "probe-1"
            self.ledgers.append(told)
            self.load = Load(urls, self.dsn, self.home / "started", told, self.plan.rate, self.note)
            self.load.put_graphs()
            yield self

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.dsn, autocommit=True)

    def serve(self, number: int) -> Process:
        folder = self.home / f"api{number}"
        (folder / "workflows").mkdir(parents=True)
        env = {
            "DATABASE_URL": self.app_dsn,
            "PORT": "0",
            "PRUNE_AFTER_SECS": str(self.plan.kept_secs),
            "PRUNE_LOGS_AFTER_SECS": str(self.plan.kept_secs // 2),
        }
        return self.stack.enter_context(Process(folder, "serve", **env))

    def employ(self, name: str, *where: str) -> None:
        """where: of `wfg worker`; without it, it is the one that writes effects."""
        path = self.home / name
        path.touch()
        if where:
            self.worker_logs.append(path)
            options = ("--slots", "4", "--labels", "linux", "--module", "tests.soak_handlers:worker")
            arguments = ["wfg", "worker", *where, *options, "--worker-id", name, "--log", "json"]
        else:
            self.ledgers.append(path)
            arguments = ["tests.chaos_worker", "sql", self.app_dsn, name, str(path)]
        with (self.home / f"{name}.err").open("wb") as errors, path.open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=log if where else errors,
                cwd=ROOT,
                start_new_session=True,
            )

    def end_workers(self) -> None:
        for process in self.workers.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    # --- the file ---

    def write(self, kind: str, **values: Any) -> None:
        with self.lock:
            self.file.write(as_line({"kind": kind, "at": round(time.monotonic() - self.begun, 2), **values}))

    def note(self, where: str, error: Exception) -> None:
        """Whatever went wrong: the first few of each kind in full, of all of them the number."""
        name = f"{where}: {type(error).__name__}"
        with self.lock:
            self.noted[name] += 1
            many = self.noted[name]
        if many <= 5:
            text = "".join(traceback.format_exception(error))[-2000:]
            self.write("error", where=where, error=name, text=text)

    def attempt(self, where: str, what: Callable[[], Any]) -> Any:
        """What it returns; None when it cannot."""
        try:
            return what()
        except Exception as error:
            self.note(where, error)
            return None

    # --- the time ---

    def run(self) -> None:
        self.begun = time.monotonic()
        plan = self.plan
        with self.connect() as connection:
            version = connection.execute("select split_part(version(), ' on ', 1)").fetchone()
        assert version is not None
        self.write(
            "begin",
            secs=plan.secs,
            hold_from=plan.hold_from,
            hold_to=plan.hold_from + plan.hold_secs,
            rate=plan.rate,
            kept_secs=plan.kept_secs,
            lag_secs=plan.lag_secs,
            server=version[0],
            python=platform.python_version(),
            cores=len(os.sched_getaffinity(0)),
        )
        self.load.begin()
        self.stack.callback(self.load.stop.set)
        held = self.stack.enter_context(ExitStack())
        holding = over = False
        due = 0.0
        while (now := time.monotonic() - self.begun) < plan.secs:
            if now >= plan.hold_from and not holding:
                holding = True
                self.attempt("hold", lambda: held.enter_context(self.held()))
            if now >= plan.hold_from + plan.hold_secs and not over:
                over = True
                self.attempt("end of the hold", held.close)
            if now >= due:
                self.sample()
                due += plan.sample_secs
            time.sleep(max(0.0, min(0.2, due - (time.monotonic() - self.begun))))
        self.sample()
        self.finish()

    @contextmanager
    def held(self) -> Iterator[None]:
        """A snapshot that stays, as of a forgotten session or of a long report."""
        with psycopg.connect(self.dsn) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute("select count(*) from wfg.runs")
            self.write("hold", held=True)
            yield
        self.write("hold", held=False)

    def processes(self) -> dict[str, int]:
        """That still run."""
        found = {name: api.process for name, api in self.apis.items()} | self.workers
        return {name: process.pid for name, process in found.items() if process.poll() is None}

    def sample(self) -> None:
        """What cannot be read is left out."""
        attempt = self.attempt
        values: dict[str, Any] = {"load": os.getloadavg()[0], "counts": dict(self.load.counts)}
        values["processes"] = {
            name: attempt(f"process {name}", lambda pid=pid: read_process(pid))
            for name, pid in self.processes().items()
        }
        values["times"] = self.load.take_times()
        postmaster = self.postgres.process.pid
        plan = self.plan

        def ask() -> None:
            with self.connect() as connection:
                reads: dict[str, Callable[[], Any]] = {
                    "backends": lambda: read_backends(connection, USER, postmaster),
                    "sizes": lambda: read_sizes(connection),
                    "work": lambda: read_work(connection),
                }
                for name, read in reads.items():
                    values[name] = attempt(name, read)
                values["times"]["queue time"] = read_queue_times(
                    connection, AT_ONCE, plan.sample_secs, plan.lag_secs
                )

        attempt("sample", ask)
        self.write("sample", **values)

    def finish(self) -> None:
        """Let all come to its end, and count."""
        self.load.end()
        calm = time.monotonic()
        drained = None
        while drained is None and time.monotonic() < calm + CALM_SECS:
            if self.attempt("end", self.left) == 0:
                drained = time.monotonic() - calm
            time.sleep(0.2)
        time.sleep(0.5)  # for workers to note what they were answered
        ended = [f"{name} ended" for name in (*self.apis, *self.workers) if name not in self.processes()]
        with self.connect() as connection:
            fenced = self.tell(connection)
            rows = [connection.execute(query).fetchone() for query in TOTALS]
            runs, jobs, doctor = (row and row[0] for row in rows)
            self.write(
                "end",
                drained=drained,
                runs=runs,
                jobs=jobs,
                lost=count_up(connection, LOST),
                twice=count_up(connection, TWICE),
                fenced=fenced,
                broken=[str(row) for row in connection.execute("select * from public.wfg_check(true)")],
                ended=ended,
                doctor=doctor["findings"],
                counts=dict(self.load.counts),
                noted=dict(self.noted),
            )

    def left(self) -> int:
        with self.connect() as connection:
            row = connection.execute(LEFT).fetchone()
        assert row is not None
        return row[0]

    def tell(self, connection: psycopg.Connection) -> int:
        """Into the database what clients were answered; how many reports were refused."""
        fenced = 0
        with connection.cursor() as cursor:
            with cursor.copy("copy soak.accepted from stdin") as copy:
                for answer, *what in answers(self.ledgers, self.worker_logs):
                    fenced += answer == "fenced"
                    if answer == "accepted":
                        copy.write_row(what)
            with (
                cursor.copy("copy soak.started from stdin") as copy,
                (self.home / "started").open() as started,
            ):
                for line in started:
                    copy.write_row([line.strip()])
            for statement in (
                "create index on soak.runs (id)",
                "create index on soak.run_ends (id)",
                "create index on soak.job_ends (run_id, job_no)",
                "create index on soak.runs ((id::text))",
                "analyze soak.runs, soak.run_ends, soak.job_ends, soak.accepted, soak.started, chaos.effects",
            ):
                cursor.execute(statement.encode())
        return fenced


@contextmanager
def world_of(server: str, plan: Plan, out: Path) -> Iterator[World]:
    """On a disk, not in memory."""
    with tempfile.TemporaryDirectory(prefix="wfg-soak-", dir="/var/tmp", ignore_cleanup_errors=True) as home:
        os.chmod(home, 0o711)
        with World(Path(home), binaries(server), plan, out).there() as world:
            yield world


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--hold-minutes", type=float, help="default: a sixth of it")
    parser.add_argument("--rate", type=float, default=5, help="runs started a second, of 4 jobs")
    parser.add_argument("--server", default="auto", help="15, 18, or a directory with programs")
    parser.add_argument("--quick", action="store_true", help="two minutes")
    parser.add_argument("--out", type=Path, default=Path("soak.jsonl"))
    parser.add_argument("--report", type=Path, metavar="FILE", help="of an earlier run: only its table")
    given = parser.parse_args(arguments)

    if given.report is None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and nothing is left behind
        minutes = 2 if given.quick else given.minutes
        hold = minutes / 6 if given.hold_minutes is None else given.hold_minutes
        plan = Plan(minutes * 60, hold * 60, given.rate)
        with world_of(given.server, plan, given.out) as world:
            world.run()
    report = Report.of(given.report or given.out)
    print(report.text())
    return not report.good


if __name__ == "__main__":
    sys.exit(main())
