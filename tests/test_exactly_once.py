"""A worker's own writes in the transaction of its report: both or neither, wherever the worker is killed."""

import itertools
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.arrange import START, after, cancel, chain, only
from tests.engine import Engine, lease_id


@pytest.fixture
def shop(engine):
    """An engine beside a table of the user's, with a run of two jobs in a row."""
    engine.set_now(START)
    engine.query("create table public.orders (note text)")
    engine.put(jobs=chain(2, retries=1))
    engine.run_id = engine.start()
    return engine


def orders(engine):
    return [row["note"] for row in engine.query("select note from public.orders order by note")]


def work(engine, claim, note, report):
    """What a worker does: its write, then its report, in one transaction."""
    with engine.connection.transaction():
        engine.query("insert into public.orders values (%s)", note)
        return report(engine, claim)


def complete(engine, claim):
    return engine.complete(claim, {"x": "1"})


def fail(engine, claim):
    return engine.fail(claim, retryable=True)


def strict_batch(engine, claim):
    return engine.call(
        "wfg_report_jobs", p_reports=[{"lease_id": lease_id(claim), "outcome": "success"}], p_strict=True
    )


@pytest.mark.parametrize("report", [complete, fail, strict_batch])
def test_writes_commit_with_an_accepted_report(shop, connect, report):
    claim = shop.claim()
    with shop.connection.transaction():
        shop.query("insert into public.orders values ('paid')")
        report(shop, claim)
        other = connect()
        assert orders(other) == []
        assert other.jobs(shop.run_id)["j1"] == "running"

    assert orders(other) == ["paid"]
    assert other.jobs(shop.run_id)["j1"] == ("queued" if report is fail else "success")


def expired(engine, claim):
    engine.advance(30)


def superseded(engine, claim):
    engine.advance(30)
    assert engine.claim("other") is not None


def cancelled(engine, claim):
    cancel(engine, engine.run_id)


def reported(engine, claim):
    engine.complete(claim)


@pytest.mark.parametrize("report", [complete, strict_batch])
@pytest.mark.parametrize("ended", [expired, superseded, cancelled, reported])
def test_writes_roll_back_with_a_refused_report(shop, ended, report):
    claim = shop.claim()
    ended(shop, claim)
    before = shop.call("wfg_get_run", p_run_id=shop.run_id)

    with pytest.raises(psycopg.Error, match=r"lease_not_held|lease_cancelled|already_reported"):
        work(shop, claim, "paid twice", report)
    assert orders(shop) == []
    assert shop.call("wfg_get_run", p_run_id=shop.run_id) == before


def test_lost_worker_and_its_successor_write_once_between_them(shop):
    first = shop.claim("w1")
    shop.advance(30)
    second = shop.claim("w2")
    work(shop, second, "by w2", complete)
    with pytest.raises(psycopg.Error, match="lease_not_held"):
        work(shop, first, "by w1", complete)

    assert orders(shop) == ["by w2"]


def test_report_sent_again_after_a_lost_answer_writes_once(shop):
    claim = shop.claim()
    work(shop, claim, "paid", complete)
    with pytest.raises(psycopg.Error, match="already_reported"):
        work(shop, claim, "paid", complete)

    assert orders(shop) == ["paid"]


def test_report_rolled_back_with_the_writes_never_happened(shop):
    claim = shop.claim()
    with shop.connection.transaction(force_rollback=True):
        shop.query("insert into public.orders values ('paid')")
        complete(shop, claim)

    assert (orders(shop), shop.jobs(shop.run_id)) == ([], {"j1": "running", "j2": "queued"})
    assert shop.call("wfg_get_outputs", p_run_id=shop.run_id, p_job_id="j1") == {}
    assert work(shop, claim, "paid", complete) == {"job": "success", "run": "running"}
    assert shop.claim()["job"]["upstream_outputs"] == {"j1": {"x": "1"}}


def test_lease_is_judged_when_the_report_is_made_not_when_the_transaction_began(shop):
    claim = shop.claim(ttl=30)

    def too_late(engine, claim):
        engine.advance(30)
        engine.complete(claim)

    with pytest.raises(psycopg.Error, match="lease_not_held"):
        work(shop, claim, "slow", too_late)

    assert orders(shop) == []


def test_worker_may_claim_work_and_complete_in_one_transaction(shop):
    with shop.connection.transaction():
        for note in ("one", "two"):
            claim = shop.claim()
            shop.query("insert into public.orders values (%s)", note)
            complete(shop, claim)

    assert orders(shop) == ["one", "two"]
    assert shop.state(shop.run_id) == "success"


def test_start_in_the_transaction_of_a_write_happens_with_it(engine):
    engine.query("create table public.orders (note text)")
    engine.put(jobs=only("a"))
    with engine.connection.transaction(force_rollback=True):
        engine.query("insert into public.orders values ('new')")
        engine.start()
    assert (orders(engine), engine.call("wfg_list_runs")["items"]) == ([], [])

    with engine.connection.transaction():
        engine.query("insert into public.orders values ('new')")
        run_id = engine.start()
    assert (orders(engine), engine.state(run_id)) == (["new"], "queued")


# --- 200 kills ---

# What a worker sends, statement by statement. The claim is a transaction of its own.
ALONE = ("claim", "begin", "write", "report", "commit")
REPORT_FIRST = ("claim", "begin", "report", "write", "commit")
BATCH = ("claim", "begin", "write", "write", "write", "report", "commit")
APART = ("claim", "write", "begin", "report", "commit")  # wrong: the write is committed by itself
SCRIPTS = {"alone": ALONE, "report first": REPORT_FIRST, "batch": BATCH, "apart": APART}
WIDTH = 3  # jobs of a batch
TTL = 30
PATIENCE = 60  # seconds, for what takes milliseconds

GRAPHS = {
    "alone": {**only("a1", lost_retries=9), "end": {"run": "true", "needs": ["a1"]}},
    "batch": {
        **only("b1", "b2", "b3", lost_retries=9),
        "end": {"run": "true", "needs": ["b1", "b2", "b3"]},
    },
}


@dataclass(frozen=True)
class Kill:
    """Where and how a worker is killed.

    when: `before` the statement is sent, when it is `sent`, or when it is `done` at the server and the answer
    not read.
    """

    script: str
    place: int
    when: str
    by: str

    @property
    def graph(self) -> str:
        return "batch" if self.script == "batch" else "alone"

    def __str__(self) -> str:
        statement = SCRIPTS[self.script][self.place]
        return f"{self.script}: {self.when} {self.place} ({statement}), by {self.by}"


def kills_of(*scripts: str) -> list[Kill]:
    """Every place of these scripts, both ways to be killed."""
    return [
        Kill(script, place, when, by)
        for script in scripts
        for place, statement in enumerate(SCRIPTS[script])
        for when in ("before", "sent", "done")
        for by in ("SIGKILL", "pg_terminate_backend")
        if (place, when) != (0, "before")  # it has not begun
        and (when != "done" or statement in ("claim", "report", "commit"))
    ]


class Statements:
    """A worker's session: each statement at once, or sent without reading the answer."""

    def __init__(self, dsn: str, now: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.connection.execute("select set_config('wfg.fake_now', %s, false)", [now])
        self.pid = self.connection.info.backend_pid

    def do(self, statement: str, *params: str) -> Any:
        cursor = self.connection.execute(statement.encode(), params or None)
        row = cursor.fetchone() if cursor.description else None
        return row and row[0]

    def send(self, statement: str, *params: str) -> None:
        numbered = statement
        for number in range(len(params)):
            numbered = numbered.replace("%s", f"${number + 1}", 1)
        pgconn = self.connection.pgconn
        pgconn.send_query_params(numbered.encode(), [param.encode() for param in params])
        while pgconn.flush():
            pass


def statement_of(script: str, name: str, leases: list[str], worker: str, number: int) -> tuple[str, ...]:
    """The text of a statement, and its arguments. number: how many writes were before."""
    match name:
        case "claim":
            limit = WIDTH if script == "batch" else 1
            claim = "select public.wfg_claim_jobs(p_worker_id => %s, p_labels => '[]'"
            return f"{claim}, p_limit => {limit}, p_ttl_secs => {TTL})::text", worker
        case "write":
            return "insert into public.effects (lease, worker) values (%s, %s)", leases[number], worker
        case "report" if script == "batch":
            reports = [{"lease_id": lease, "outcome": "success"} for lease in leases]
            return (
                "select public.wfg_report_jobs(p_reports => %s, p_strict => true)::text",
                json.dumps(reports),
            )
        case "report":
            return "select public.wfg_complete_job(p_lease_id => %s)::text", leases[0]
        case _:
            return (name,)


def victim(dsn: str, now: str, kill: Kill) -> None:
    """A worker in a process of its own, up to where it is to be killed: then it says so, and waits.

    Who ends its backend only tells it to go on. It connects again, and as it cannot know what became of its
    transaction, it sends all of it again, under the same leases.
    """
    session = Statements(dsn, now)
    leases: list[str] = []
    writes = 0
    for place, name in enumerate(SCRIPTS[kill.script]):
        statement = statement_of(kill.script, name, leases, "victim", writes)
        if place == kill.place:
            if kill.when != "before":
                session.send(*statement)
            break
        answer = session.do(*statement)
        writes += name == "write"
        if name == "claim":
            leases = [lease_id(claim) for claim in json.loads(answer)]

    print(json.dumps([os.getpid(), session.pid]), flush=True)
    assert sys.stdin.readline() == "go on\n"
    session.connection.close()
    told = again(Statements(dsn, now), kill, leases) if leases else "no lease"
    print(json.dumps(told), flush=True)


def breed(dsn: str) -> None:
    """The warm process that victims are forked from, one at a time: reads kills, writes how they ended."""
    while line := sys.stdin.readline():
        now, *kill = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                victim(dsn, now, Kill(*kill))
            except BaseException as error:
                print(json.dumps(repr(error)), flush=True)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(json.dumps(["ended", os.waitstatus_to_exitcode(status)]), flush=True)


def again(session: Statements, kill: Kill, leases: list[str]) -> str:
    writes = 0
    try:
        for name in SCRIPTS[kill.script][1:]:
            session.do(*statement_of(kill.script, name, leases, "victim again", writes))
            writes += name == "write"
    except psycopg.Error as error:
        session.do("rollback")
        return error.diag.message_primary or repr(error)
    return "accepted"


class Massacre:
    """Kills workers, one after another, each at a run of its own; others finish what they left."""

    def __init__(self, engine: Engine, breeder: subprocess.Popen[bytes]) -> None:
        self.engine = engine
        self.breeder = breeder
        self.clock = 0
        self.again: Counter[str] = Counter()  # what the survivors were told
        self.took_over = 0  # runs that another worker had to finish
        engine.set_now(START)
        engine.query("create table public.effects (lease text not null, worker text not null)")
        engine.query("create table public.successes (run_id uuid not null, job_no integer not null)")
        engine.query(NOTE_SUCCESS)
        for name, jobs in GRAPHS.items():
            engine.put(name, jobs=jobs)

    def kill(self, kill: Kill) -> None:
        """Start a run, let a victim begin it and kill it, and let another worker finish the run."""
        run = self.engine.start(kill.graph)
        self.say(json.dumps([after(self.clock).isoformat(), *astuple(kill)]))
        pid, backend = self.hear()
        if kill.when == "done":
            self.until_answered(backend, in_transaction=SCRIPTS[kill.script][kill.place] == "report")
        if kill.by == "SIGKILL":
            os.kill(pid, signal.SIGKILL)
            assert self.hear() == ["ended", -signal.SIGKILL], kill
        else:
            self.engine.query("select pg_terminate_backend(%s)", backend)
            self.say("go on")
            told = self.hear()
            assert told in ("accepted", "already_reported", "no lease"), (kill, told)
            self.again[told] += 1
            assert self.hear() == ["ended", 0]
        self.until_gone(backend)
        self.finish(run)

    def say(self, line: str) -> None:
        assert self.breeder.stdin is not None
        self.breeder.stdin.write(f"{line}\n".encode())

    def hear(self) -> Any:
        """The next line. Nothing is read ahead, or select would not see it."""
        assert self.breeder.stdout is not None
        assert select.select([self.breeder.stdout], [], [], PATIENCE)[0], "no word from the victim"
        return json.loads(self.breeder.stdout.readline())

    def finish(self, run: str) -> None:
        """Another worker, after the lease is over: does what was not done."""
        self.clock += TTL
        self.engine.set_now(after(self.clock))
        self.took_over += self.engine.jobs(run)["end"] == "queued" and any(
            state == "running" for state in self.engine.jobs(run).values()
        )
        while claims := self.engine.claim_many(10, worker="successor"):
            with self.engine.connection.transaction():
                for claim in claims:
                    self.engine.query("insert into public.effects values (%s, 'successor')", lease_id(claim))
                reports = [{"lease_id": lease_id(claim), "outcome": "success"} for claim in claims]
                self.engine.call("wfg_report_jobs", p_reports=reports, p_strict=True)
        assert self.engine.state(run) == "success"

    def until_answered(self, pid: int, in_transaction: bool) -> None:
        """Until the server has done what it was sent; the answer lies unread."""
        state = "idle in transaction" if in_transaction else "idle"
        query = "select 1 as done from pg_stat_activity where pid = %s and state = %s"
        until(lambda: self.engine.query(query, pid, state))

    def until_gone(self, pid: int) -> None:
        query = "select 1 as there from pg_stat_activity where pid = %s"
        until(lambda: not self.engine.query(query, pid))

    def effects(self) -> Counter[str]:
        """How many writes there are for each job."""
        leases = self.engine.query("select lease from public.effects")
        return Counter(row["lease"].rpartition(".")[0] for row in leases)

    def successes(self) -> Counter[str]:
        """How often each job became a success."""
        rows = self.engine.query("select replace(run_id::text, '-', '') as run, job_no from public.successes")
        return Counter(f"{row['run']}.{row['job_no']}" for row in rows)


NOTE_SUCCESS = """
create function public.note_success() returns trigger language plpgsql as $$
begin
  insert into public.successes values (new.run_id, new.job_no);
  return null;
end;
$$;

create trigger note_success after update on wfg.jobs for each row
  when (new.state = 'success') execute function public.note_success();
"""


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"


def schedule(count: int) -> Iterator[Kill]:
    """So many kills: all places in turn, in an order of chance."""
    kills = kills_of("alone", "report first", "batch")
    random.Random(3).shuffle(kills)
    return itertools.islice(itertools.cycle(kills), count)


@pytest.fixture
def massacre(engine) -> Iterator[Massacre]:
    breeder = subprocess.Popen(
        [sys.executable, "-m", "tests.test_exactly_once", engine.dsn],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    with breeder:
        try:
            yield Massacre(engine, breeder)
        finally:
            breeder.kill()


@pytest.mark.nightly
def test_two_hundred_killed_workers(engine, massacre):
    """Killed between any two statements, or amid one: every job's write is there once, and it ends once."""
    places = Counter[Kill]()
    for kill in schedule(200):
        massacre.kill(kill)
        places[kill] += 1

    jobs = {
        f"{row['run']}.{row['job_no']}": 1
        for row in engine.query("select replace(run_id::text, '-', '') as run, job_no from wfg.jobs")
    }
    assert len(jobs) > 200 * 2
    assert massacre.effects() == jobs
    assert massacre.successes() == jobs
    assert engine.query("select distinct state from wfg.jobs") == [{"state": "success"}]

    # Every place was visited more than once; victims had committed or not, and their claims were lost or not.
    assert set(places) == set(kills_of("alone", "report first", "batch"))
    assert min(places.values()) >= 2
    assert massacre.took_over > 50
    assert min(massacre.again.values()) > 5
    assert set(massacre.again) == {"accepted", "already_reported", "no lease"}


def test_a_write_in_a_transaction_of_its_own_is_there_twice(massacre):
    """What the pattern is for, and that the test above would notice."""
    for kill in kills_of("apart"):
        massacre.kill(kill)

    assert max(massacre.effects().values()) > 1
    assert set(massacre.successes().values()) == {1}


if __name__ == "__main__":
    breed(sys.argv[1])
