"""What breaks while work goes on, and what it costs: the crash matrix.

    python -m tests.chaos --seconds 240 [--only kill-worker,cut-network] [--server 15|18|DIRECTORY]

A Postgres of its own with fsync on, two `wfg serve`, `wfg worker` over HTTP and over SQL, and a worker that
writes the effect of a job in the transaction that completes it; between them and Postgres, and to the
servers, a network that can be broken. One client starts runs of mixed graphs without pause. Then one thing
after another is broken, and mended; the processes that were not killed carry on from row to row. Prints a
table; exit code 1 if anything was lost, done twice, or did not go on by itself.

What a row counts:

- lost: runs whose start was answered and that are not there or do not end, jobs whose success was answered to
  a worker and that are no success, successes and effects of which only one is there
- twice: jobs of which two attempts were answered `success`, which became a success twice or have two effects;
  keys that started two runs
- fenced: reports that were refused because the lease was lost by then
- next, everybody: seconds from the end of the breakage until a job is a success again, and until each
  worker had one, those that were there all along included
- drained: seconds from the moment when no more runs are started until nothing is left to do
"""

import argparse
import itertools
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import tuple_row
from wfg import embedded

from tests import chaos_worker
from tests.arrange import chain, diamond, fan, join
from tests.bench.cluster import binaries
from tests.hunt import WIDES, fan_and_join
from tests.own_postgres import IMMEDIATE, OwnPostgres
from tests.proxy import Proxy
from tests.servers import Process, free_port
from tests.workers import until_sync

ROOT = Path(__file__).parents[1]
TTL = chaos_worker.TTL
CALM_SECS = 90.0  # within which all must be done again
MOST_OPEN = 150  # queued jobs, above which no more runs are started
# What is lost by no fault of its own is tried again, as often as it takes.
POLICY = {"lost_retries": 100}
GRAPHS = {
    "chain": chain(5, **POLICY),
    "diamond": diamond(6, **POLICY),
    "fan": fan(8, **POLICY),
    "join": join(20, **POLICY),
    "fan and join": fan_and_join(20, **POLICY),
    "wides": {key: {**job, **POLICY} for key, job in WIDES.items()},
}
SETTINGS = {"max_connections": "320", "shared_buffers": "64MB", "fsync": "on"}

# The owner's view, beside the engine: effects, and what became a success and when.
ARRANGE = """
create schema chaos;
create table chaos.effects (lease_id text not null);
create table chaos.ends (
  run_id uuid not null, job_no integer not null, worker_id text not null,
  at timestamptz not null default clock_timestamp()
);
create index on chaos.ends (at);

create function chaos.note_end() returns trigger language plpgsql security definer as $$
begin
  insert into chaos.ends (run_id, job_no, worker_id) values (new.run_id, new.job_no, new.worker_id);
  return null;
end;
$$;
create trigger chaos_note_end after update on wfg.jobs for each row
  when (new.state = 'success') execute function chaos.note_end();
"""
# The clock of a machine that jumps.
CLOCK = """
create table chaos.clock (shift interval not null);
insert into chaos.clock values ('0');
grant select on chaos.clock to public;

create or replace function wfg.now() returns timestamptz language plpgsql volatile as $$
begin
  return clock_timestamp() + (select c.shift from chaos.clock c);
end;
$$;
"""
ROLES = """
create role chaos_app login in role wfg_worker, wfg_operator, wfg_reader, wfg_server;
create role chaos_idle login;
-- Who vanishes amid a transaction holds its locks until Postgres hears of it: docs/trust.md.
alter role chaos_app set idle_in_transaction_session_timeout = '5s';
grant usage on schema chaos to chaos_app;
grant insert on chaos.effects to chaos_app;
"""

# What no fault may leave behind; each row is a problem.
ASTRAY = """
select e.lease_id as what, 'an effect without its success' as problem
  from chaos.effects e
  left join wfg.jobs j
    on j.run_id = split_part(e.lease_id, '.', 1)::uuid and j.job_no = split_part(e.lease_id, '.', 2)::integer
   and j.lease_nonce = split_part(e.lease_id, '.', 3)::uuid and j.state = 'success'
 where j.run_id is null
union all
select j.run_id || '.' || j.job_no, 'a success without its effect'
  from wfg.jobs j
 where j.state = 'success' and j.worker_id like 'effects%' and not exists (
   select from chaos.effects e
    where e.lease_id like replace(j.run_id::text, '-', '') || '.' || j.job_no || '.%')
union all
select j.run_id || '.' || j.job_no, concat_ws(': ', 'a job that is ' || j.state, j.error)
  from wfg.jobs j where j.state <> 'success'
union all
select r.id::text, 'a run that is ' || r.state from wfg.runs r where r.state <> 'success'
"""
TWICE = """
select split_part(e.lease_id, '.', 1) || '.' || split_part(e.lease_id, '.', 2) as what, 'effects' as problem
  from chaos.effects e group by 1 having count(*) > 1
union all
select n.run_id || '.' || n.job_no, 'successes' from chaos.ends n
 group by n.run_id, n.job_no having count(*) > 1
union all
select min(r.id::text), 'runs of one key' from wfg.runs r
 where r.idempotency_key is not null group by r.idempotency_key having count(*) > 1
"""
LEFT = "select (select count(*) from wfg.queue) + (select count(*) from wfg.runs where state = 'active')"
SUCCESSES = """
select r.id::text as run, s.key as job from wfg.jobs j
  join wfg.runs r on r.id = j.run_id
  join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no
 where j.state = 'success'
"""


# --- what is counted ---


@dataclass
class Told:
    """What the clients were answered, all of them together since the beginning."""

    accepted: defaultdict[tuple[str, str], set[str]]  # (run, job): attempts, with the worker
    fenced: int


def answers(ledgers: Iterable[Path], worker_logs: Iterable[Path]) -> Iterator[tuple[str, str, str, str]]:
    """Accepted or fenced, run, job, and whose attempt: of ledgers of chaos_worker, and logs of `wfg worker
    --log json`. A line cut short says nothing."""
    for path in ledgers:
        with path.open() as lines:
            for line in lines:
                answer, run, job, attempt = line.rsplit(" ", 3)
                yield answer, run, job, f"{path.name} {attempt.strip()}"
    for path in worker_logs:
        with path.open() as lines:
            for line in lines:
                with suppress(json.JSONDecodeError):
                    said = json.loads(line)
                    outcome = str(said.get("outcome", ""))
                    answer = "accepted" if outcome == "success" else "fenced"
                    if outcome == "success" or outcome.startswith("lease lost"):
                        yield answer, said["run_id"], said["job_id"], f"{path.name} {said['attempt']}"


def told_by(ledgers: Sequence[Path], worker_logs: Sequence[Path]) -> Told:
    told = Told(defaultdict(set), 0)
    for answer, run, job, by in answers(ledgers, worker_logs):
        if answer == "accepted":
            told.accepted[run, job].add(by)
        told.fenced += answer == "fenced"
    return told


def lost_and_twice(
    connection: psycopg.Connection, told: Told, started: set[str]
) -> tuple[list[str], list[str]]:
    """What the database says otherwise than the clients were told, once all is done. started: run ids."""

    def rows(query: str) -> list[tuple[str, str]]:
        return connection.cursor(row_factory=tuple_row).execute(query.encode()).fetchall()

    successes = set(rows(SUCCESSES))
    runs = {run for run, _ in successes}
    lost = [f"{problem}: {what}" for what, problem in rows(ASTRAY)]
    lost += [f"was answered success: {job}" for job in told.accepted if job not in successes]
    lost += [f"was answered started: {run}" for run in started if run not in runs]
    twice = [f"two {problem}: {what}" for what, problem in rows(TWICE)]
    twice += [
        f"two attempts were answered success: {job}" for job, by in told.accepted.items() if len(by) > 1
    ]
    return lost, twice


@dataclass
class Row:
    """A line of the table; seconds are None where nothing came."""

    fault: str
    times: int  # it was broken
    jobs: int  # successes meanwhile, the recovery included
    lost: list[str]
    twice: list[str]
    fenced: int
    first_secs: float | None
    everybody_secs: float | None
    drained_secs: float | None
    problems: list[str]  # of wfg_check, and processes that ended by themselves

    @property
    def good(self) -> bool:
        return not (self.lost or self.twice or self.problems) and None not in (
            self.first_secs,
            self.everybody_secs,
            self.drained_secs,
        )

    def line(self) -> str:
        def secs(value: float | None) -> str:
            return "never" if value is None else f"{value:.1f}"

        cells: list[object] = [
            self.fault,
            self.times,
            self.jobs,
            len(self.lost),
            len(self.twice),
            self.fenced,
        ]
        cells += map(secs, (self.first_secs, self.everybody_secs, self.drained_secs))
        cells.append("NOT EMPTY" if self.problems else "empty")
        return "| " + " | ".join(map(str, cells)) + " |"


HEAD = """\
| what breaks | times | jobs | lost | twice | fenced | next, s | everybody, s | drained, s | `wfg_check` |
|---|---|---|---|---|---|---|---|---|---|"""


# --- the world ---


@dataclass
class World:
    """All that runs, and the one client that starts runs."""

    home: Path
    bin_dir: Path
    small: bool = False  # one server, and one worker each way
    postgres: OwnPostgres = field(init=False)
    apis: list[Process] = field(default_factory=list)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ledgers: list[Path] = field(default_factory=list)
    worker_logs: list[Path] = field(default_factory=list)
    started: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)  # starts that were not answered, by reason
    chance: random.Random = field(default_factory=lambda: random.Random(8))

    @contextmanager
    def there(self) -> Iterator["World"]:
        self.stack = ExitStack()
        self.numbers = itertools.count(1)
        self.stop, self.busy, self.starting = threading.Event(), threading.Event(), threading.Lock()
        with self.stack:
            self.postgres = self.own("postgres")
            self.dsn = self.postgres.new_database()
            with psycopg.connect(self.dsn) as connection:
                connection.execute(ARRANGE + CLOCK)
                connection.execute(ROLES)
            self.to_postgres = self.stack.enter_context(Proxy(self.socket_of(self.postgres)))
            self.app_dsn = make_conninfo(
                self.dsn, user="chaos_app", host="127.0.0.1", port=str(self.to_postgres.port)
            )
            for _ in range(1 if self.small else 2):
                self.apis.append(self.serve(free_port()))
            self.ports = [int(api.url().rpartition(":")[2]) for api in self.apis]
            self.to_api = self.stack.enter_context(Proxy(*self.ports))
            self.url = f"http://127.0.0.1:{self.to_api.port}"
            self.stack.callback(self.end_workers)
            for way in ("http", "sql"):
                for _ in range(1 if self.small else 2):
                    self.employ(way)
            self.employ("effects")
            with httpx.Client(base_url=self.url, timeout=30) as http:
                for name, jobs in GRAPHS.items():
                    answer = http.put(f"/api/workflows/{name}", json={"name": name, "jobs": jobs})
                    assert answer.is_success, answer.text
            self.starter = threading.Thread(target=self.start_runs, daemon=True)
            self.starter.start()
            self.stack.callback(self.starter.join, 60)
            self.stack.callback(self.stop.set)
            yield self

    # --- processes ---

    def own(self, name: str, primary: OwnPostgres | None = None) -> OwnPostgres:
        postgres = OwnPostgres(
            self.bin_dir,
            self.home / name,
            {**SETTINGS, "unix_socket_directories": str(self.home / name)},
            primary,
        )

        def end() -> None:
            if postgres.process.poll() is None:
                postgres.stop(IMMEDIATE)

        self.stack.callback(end)
        return postgres

    def socket_of(self, postgres: OwnPostgres) -> Path:
        return postgres.home / ".s.PGSQL.5432"

    def serve(self, port: int) -> Process:
        folder = self.home / f"api{next(self.numbers)}"
        (folder / "workflows").mkdir(parents=True)
        env = {"DATABASE_URL": self.app_dsn, "PORT": str(port), "REAP_INTERVAL_SECS": "1"}
        return self.stack.enter_context(Process(folder, "serve", **env))

    def employ(self, way: str) -> str:
        """A worker more; its name. effects: writes them. http, sql: `wfg worker`."""
        name = f"{way}-{next(self.numbers)}"
        path = self.home / name
        if way == "effects":
            self.ledgers.append(path)
            arguments = ["tests.chaos_worker", "sql", self.app_dsn, name, str(path)]
        else:
            self.worker_logs.append(path)
            where = ("--server", self.url) if way == "http" else ("--database-url", self.app_dsn)
            options = ("--slots", "2", "--ttl", str(TTL), "--poll", "0.2", "--worker-id", name)
            arguments = ["wfg", "worker", *where, *options, "--log", "json"]
        path.touch()
        with (self.home / f"{name}.err").open("wb") as errors, path.open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors if way == "effects" else log,
                cwd=ROOT if way == "effects" else self.home,
                start_new_session=True,
            )
        return name

    def some_worker(self, *ways: str) -> str:
        return self.chance.choice([name for name in self.workers if name.partition("-")[0] in ways])

    def kill(self, name: str) -> None:
        """With all it started."""
        process = self.workers.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def end_workers(self) -> None:
        for name in [*self.workers]:
            self.kill(name)

    def ended_by_themselves(self) -> list[str]:
        ended = [
            f"{name} ended: {(self.home / f'{name}.err').read_text()[-500:]}"
            for name, process in self.workers.items()
            if process.poll() is not None
        ]
        if not self.starter.is_alive():
            ended.append("the client that starts runs ended")
        return ended + [
            f"a server ended: {a.stderr()[-500:]}" for a in self.apis if a.process.poll() is not None
        ]

    # --- the load ---

    def start_runs(self) -> None:
        """One after another, each until it is answered; not while the world is to calm down."""
        chance = random.Random(1)
        with httpx.Client(base_url=self.url, timeout=10) as http:
            for number in itertools.count():
                graph = chance.choice([*GRAPHS])
                while not self.start(http, graph, f"key {number}"):
                    if self.stop.wait(0.1):
                        return
                time.sleep(0.3 if self.small else 0.02)

    def start(self, http: httpx.Client, graph: str, key: str) -> bool:
        """Whether it was answered that the run was started."""
        if not self.busy.is_set() or self.open_jobs() > MOST_OPEN:
            return False
        with self.starting:
            if not self.busy.is_set():
                return False
            try:
                answer = http.post(f"/api/workflows/{graph}/runs", json={"idempotency_key": key})
            except httpx.HTTPError as error:
                self.refused[type(error).__name__] += 1
                return False
            if answer.is_success:
                self.started.add(answer.json()["run_id"])
            else:
                assert answer.status_code >= 500, answer.text
                self.refused[answer.json()["message"].partition(" ")[0]] += 1
            return answer.is_success

    def open_jobs(self) -> int:
        with suppress(psycopg.OperationalError):
            return self.ask_once("select count(*) from wfg.queue")
        return 0

    def ask(self, query: str, *params: object) -> Any:
        """As ask_once, again until Postgres answers."""
        answer: list[Any] = []

        def answered() -> bool:
            with suppress(psycopg.OperationalError):
                answer.append(self.ask_once(query, *params))
            return bool(answer)

        until_sync(answered)
        return answer[0]

    def ask_once(self, query: str, *params: object) -> Any:
        """The owner's question, past the network: the first value."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            row = connection.execute(query.encode(), params).fetchone()
        return row and row[0]

    def ask_all(self, *statements: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def move(self, source: str, target: str) -> None:
        """All tables and indexes, while nobody else is there."""
        self.to_postgres.cut()
        end_backends(self)
        kinds = ("table", "index")
        self.ask_all(*(f"alter {kind} all in tablespace {source} set tablespace {target}" for kind in kinds))
        self.to_postgres.mend()

    def successes(self, since: float = 0) -> int:
        return self.ask("select count(*) from chaos.ends where at >= to_timestamp(%s)", since)

    def succeeded_since(self, since: float) -> set[str]:
        """Workers that did."""
        query = "select array_agg(distinct worker_id) from chaos.ends where at >= to_timestamp(%s)"
        return set(self.ask(query, since) or [])

    # --- a row ---

    def suffer(self, fault: "Fault", secs: float) -> Row:
        """Break it, again and again for so long; then see how it recovers, and what it cost."""
        before = self.successes()
        fenced = told_by(self.ledgers, self.worker_logs).fenced
        self.busy.set()
        until_sync(lambda: self.successes() >= before + 20, 60)
        times = 0
        end = time.monotonic() + secs
        while not times or (time.monotonic() < end and not fault.once):
            fault.breaks(self)
            times += 1
            time.sleep(0 if self.small else 0.5)

        mended = time.time()
        first = self.wait_for(lambda: self.successes(mended) > 0, mended)
        everybody = self.wait_for(lambda: self.succeeded_since(mended) >= {*self.workers}, mended)
        self.busy.clear()
        with self.starting:  # none is under way
            calm = time.time()
        drained = self.wait_for(lambda: self.ask(LEFT) == 0, calm)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            time.sleep(0.3)  # for workers to note what they were answered
            told = told_by(self.ledgers, self.worker_logs)
            lost, twice = lost_and_twice(connection, told, {*self.started})
            problems = [str(row) for row in connection.execute("select * from public.wfg_check(true)")]
        problems += self.ended_by_themselves()
        return Row(
            fault=fault.title,
            times=times,
            jobs=self.successes() - before,
            lost=lost,
            twice=twice,
            fenced=told.fenced - fenced,
            first_secs=first,
            everybody_secs=everybody,
            drained_secs=drained,
            problems=problems,
        )

    def wait_for(self, condition: Callable[[], bool], since: float) -> float | None:
        """Seconds since then; None if it took too long."""
        while time.time() < since + CALM_SECS:
            with suppress(psycopg.OperationalError):
                if condition():
                    return time.time() - since
            time.sleep(0.1)
        return None


# --- what breaks ---


class Skip(Exception):
    """It cannot be done here; the text says why."""


@dataclass(frozen=True)
class Fault:
    name: str
    title: str
    breaks: Callable[[World], None]
    once: bool = False
    around: Callable[[World], AbstractContextManager[object]] = nullcontext  # before the load, and after


def kill_worker(world: World) -> None:
    """`wfg worker`, at a moment of chance, and one in its place."""
    world.kill(name := world.some_worker("http", "sql"))
    world.employ(name.partition("-")[0])
    time.sleep(world.chance.uniform(0.5, 1.5))


def kill_at_points(world: World) -> None:
    """A worker of few lines at each point of the protocol, by both doors."""
    for door, points in chaos_worker.POINTS.items():
        for point in points:
            name = f"{'effects' if door == 'sql' else 'victim'}-{next(world.numbers)}"
            ledger = world.home / name
            ledger.touch()
            world.ledgers.append(ledger)
            where = world.app_dsn if door == "sql" else world.url
            died = subprocess.run(
                [sys.executable, "-m", "tests.chaos_worker", door, where, name, str(ledger), point],
                cwd=ROOT,
                capture_output=True,
                timeout=60,
            )
            assert died.returncode == -signal.SIGKILL, (point, died.stderr.decode())


def freeze_worker(world: World) -> None:
    """One sleeps past its lease, and then goes on as if nothing had been."""
    process = world.workers[world.some_worker("effects", "http", "sql")]
    os.killpg(process.pid, signal.SIGSTOP)
    time.sleep(TTL + 1)
    os.killpg(process.pid, signal.SIGCONT)


def kill_api(world: World) -> None:
    """A supervisor starts it again a second later."""
    place = world.chance.randrange(len(world.apis))
    world.apis[place].kill()
    time.sleep(0.2 if world.small else 1)
    world.apis[place] = world.serve(world.ports[place])
    world.apis[place].url()


def kill_backend(world: World) -> None:
    """With SIGKILL, whereupon Postgres ends all its sessions and recovers."""
    query = "select pid from pg_stat_activity where usename = 'chaos_app' order by random() limit 1"
    found: list[int] = []
    until_sync(lambda: found.append(world.ask(query)) or found[-1])
    os.kill(found[-1], signal.SIGKILL)


def end_backends(world: World) -> None:
    """As an operator or a failing load balancer does: all sessions of ours, with an error."""
    world.ask("select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'chaos_app'")


def kill_postgres(world: World) -> None:
    """As if the machine had failed; it is back a second later."""
    world.postgres.stop(IMMEDIATE)
    time.sleep(0.2 if world.small else 1)
    world.postgres.start()


def kill_anything(world: World) -> None:
    """Something of it all, every two seconds."""
    world.chance.choice([kill_worker, kill_api, kill_backend, kill_postgres, end_backends])(world)
    time.sleep(2)


def take_connections(world: World) -> None:
    """All that Postgres has, while ours must connect anew, and cannot."""
    dsn = make_conninfo(world.dsn, user="chaos_idle")
    with ExitStack() as stack:

        def ours_have_none() -> bool:
            end_backends(world)
            with suppress(psycopg.OperationalError):
                while True:
                    stack.enter_context(psycopg.connect(dsn))
            return world.ask("select count(*) from pg_stat_activity where usename = 'chaos_app'") == 0

        until_sync(ours_have_none)
        time.sleep(3)


@contextmanager
def on_a_small_disk(world: World) -> Iterator[None]:
    """Tables and indexes are on a file system of some megabytes."""
    small = world.home / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96m,mode=0755", "tmpfs", str(small)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        small.rmdir()
        raise Skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        embedded.prepare_dir(small / "tables", world.postgres.user)
        world.ask_all(f"create tablespace small location '{small}/tables'")
        world.move("pg_default", "small")
        yield
        world.move("small", "pg_default")
        world.ask_all("drop tablespace small")
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)
        small.rmdir()


def fill_disk(world: World) -> None:
    """For three seconds from the first write that finds no room."""

    def refused() -> int:
        log = (world.postgres.home / "log").read_text(errors="replace")
        return log.count("No space left on device")

    before = refused()
    path = world.home / "small" / "ballast"
    with suppress(OSError), path.open("wb", buffering=0) as ballast:
        while ballast.write(bytes(4096)):
            pass
    until_sync(lambda: refused() > before)
    time.sleep(3)
    path.unlink()


def cut_network(world: World) -> None:
    """Everywhere: first resets, then silence for longer than a lease lasts, after which all arrives late."""
    for break_it, secs in ((Proxy.cut, 2), (Proxy.stall, TTL + 1)):
        for proxy in (world.to_postgres, world.to_api):
            break_it(proxy)
        time.sleep(secs)
        for proxy in (world.to_postgres, world.to_api):
            proxy.mend()
        time.sleep(0.5)


def forget_connections(world: World) -> None:
    """Connections to the servers and to Postgres lead nowhere from now on, and nobody is told."""
    for proxy in (world.to_postgres, world.to_api):
        proxy.forget()
    time.sleep(2)


def jump_clock(world: World) -> None:
    """A minute ahead, all leases are over at once; then two seconds back."""
    for shift, secs in ((60, 1.5), (-2, 1.5)):
        world.ask_all(f"update chaos.clock set shift = shift + interval '{shift} seconds'")
        time.sleep(secs)


def promote_standby(world: World) -> None:
    """The primary fails at once; its synchronous standby takes over."""
    primary = world.postgres
    standby = world.own("standby", primary)
    world.ask_all("alter system set synchronous_standby_names = '*'", "select pg_reload_conf()")
    synced = "select count(*) from pg_stat_replication where sync_state = 'sync'"
    until_sync(lambda: world.ask(synced) == 1)
    before = world.successes()
    until_sync(lambda: world.successes() > before + 20)

    primary.stop(IMMEDIATE)
    world.postgres, world.dsn = standby, make_conninfo(world.dsn, host=str(standby.home))
    assert world.ask("select pg_promote()") is True
    world.to_postgres.targets = [world.socket_of(standby)]


FAULTS = [
    Fault("kill-worker", "`wfg worker`: kill -9", kill_worker),
    Fault("kill-at-points", "kill -9 of a worker at each point of the protocol", kill_at_points),
    Fault("freeze-worker", "a worker that sleeps past its lease", freeze_worker),
    Fault("kill-api", "`wfg serve`: kill -9", kill_api),
    Fault("kill-backend", "one backend: kill -9", kill_backend),
    Fault("end-backends", "all sessions are ended", end_backends),
    Fault("kill-postgres", "Postgres: immediate shutdown", kill_postgres),
    Fault("kill-anything", "one of these, every 2 s", kill_anything),
    Fault("take-connections", "300 idle connections", take_connections),
    Fault("fill-disk", "a full disk", fill_disk, around=on_a_small_disk),
    Fault("cut-network", "the network: cut, then silent, then late", cut_network),
    Fault("forget-connections", "all connections lead nowhere", forget_connections, once=True),
    Fault("jump-clock", "the clock: 60 s ahead, 2 s back", jump_clock),
    Fault("promote-standby", "the primary; its standby is promoted", promote_standby, once=True),
]


@contextmanager
def world_of(server: str, *, small: bool = False) -> Iterator[World]:
    """On a disk, not in memory."""
    with tempfile.TemporaryDirectory(prefix="wfg-chaos-", dir="/var/tmp", ignore_cleanup_errors=True) as home:
        os.chmod(home, 0o711)
        with World(Path(home), binaries(server), small).there() as world:
            yield world


def suffer_all(world: World, names: Sequence[str], secs: float) -> Iterator[Row | str]:
    """A row for each of these, or why there is none."""
    for fault in FAULTS:
        if fault.name in names:
            try:
                with fault.around(world):
                    yield world.suffer(fault, secs / len(names))
            except Skip as reason:
                yield f"{fault.name}: skipped: {reason}"


def main() -> int:
    names = [fault.name for fault in FAULTS]
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seconds", type=float, default=180, help="of breaking; recovery comes on top")
    parser.add_argument("--only", default=",".join(names))
    parser.add_argument("--server", default="auto", help="15, 18, or a directory with programs")
    parser.add_argument("--small", action="store_true", help="one process of each kind")
    given = parser.parse_args()
    chosen = given.only.split(",")
    if unknown := set(chosen) - set(names):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; there are: {', '.join(names)}")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and nothing is left behind
    good = True
    with world_of(given.server, small=given.small) as world:
        version = world.ask("select split_part(version(), ' on ', 1)")
        cores = len(os.sched_getaffinity(0))
        print(
            f"{version}, Python {platform.python_version()}, {cores} cores, load {os.getloadavg()[0]:.1f}\n"
        )
        print(HEAD, flush=True)
        for row in suffer_all(world, chosen, given.seconds):
            print(row if isinstance(row, str) else row.line(), flush=True)
            if isinstance(row, Row) and not row.good:
                good = False
                print(*row.lost[:10], *row.twice[:10], *row.problems, sep="\n", flush=True)
        print(f"\nruns: {len(world.started)}; starts not answered at once: {dict(world.refused)}")
    return not good


if __name__ == "__main__":
    sys.exit(main())
