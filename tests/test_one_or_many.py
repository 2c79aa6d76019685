"""One call or many: claiming and reporting one by one, and in batches of one, must have the same effect.

The single forms have short ways of their own, which the batches do not take. So the same random script is
played in two databases on one clock, by the single calls in one and by the many in the other; after each
step the answers, all rows of the tables, and what was announced must be the same, but for ids.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.arrange import after, chain, diamond, fan, join, only
from tests.conftest import Databases
from tests.engine import Engine, lease_id
from tests.hunt import WIDES

POLICY = {"retries": 1, "backoff": {"fixed": 2}}
FIXED: dict[str, dict[str, Any]] = {
    "one": only("a"),
    "chain": chain(4, **POLICY),
    "diamond": diamond(4, **POLICY),
    "timeout": diamond(3, retries=1, timeout=3),
    "fan": fan(18),
    "flat": only(*(f"j{n}" for n in range(20)), retries=1),
    "join": {**join(18, retries=1), "tail": {"run": "true", "needs": ["sink"]}},
    "join and pairs": {
        **join(17),
        **{f"pair{n}": {"run": "true", "needs": [f"p{n}", f"p{n + 1}"]} for n in range(1, 17)},
    },
    "wides": WIDES,
}

# In the order of their keys. Label sets and marks are hints, and workers are looked at by themselves.
TABLES = {
    "runs": "id",
    "jobs": "run_id, job_no",
    "outputs": "run_id, job_no",
    "attempts": "run_id, job_no, attempt",
    "queue": "run_id, job_no",
    "join_slots": "run_id, job_no, slot",
    "run_slots": "run_id, slot",
}
SNAPSHOT = "select json_build_object({})::text as rows".format(
    ", ".join(
        f"'{table}', (select json_agg(t order by {key}) from wfg.{table} t)" for table, key in TABLES.items()
    )
)
UUID = re.compile("[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")

# Of each size that is stored in another place.
OUTPUTS: list[dict[str, str]] = [
    {},
    {"o": "1"},
    {"o": "x" * (1024 - len('{"o": ""}'))},
    {"o": "x" * (1025 - len('{"o": ""}'))},
    {"o": "x" * 2000},
]

# What a script must have met, for the comparison to say something.
SEEN = {
    "success",
    "skipped",
    "failure",
    "cancelled",
    "queued again",
    "held",
    "stored apart",
    "PT409 already_reported",
    "PT409 lease_cancelled",
    "PT409 lease_not_held",
}


class Side:
    """One of the two databases, and how it is spoken to."""

    def __init__(self, dsn: str, many: bool) -> None:
        self.engine = Engine(dsn)
        self.many = many
        self.runs: dict[str, str] = {}  # id -> how it is called on both sides
        self.leases: list[str] = []
        self.heard: list[str] = []
        self.engine.connection.add_notify_handler(
            lambda notify: self.heard.append(f"{notify.channel} {notify.payload}")
        )
        self.engine.query("listen wfg_wake")
        self.engine.query("listen wfg_runs")

    # --- single, or many ---

    def claim(self, worker: str, ttl: int) -> list[dict[str, Any]]:
        if self.many:
            return self.took(self.engine.claim_many(1, worker, ["spare"], ttl))
        claim = self.engine.claim(worker, ["spare"], ttl)
        return self.took([claim] if claim else [])

    def complete(self, lease: int, outputs: dict[str, str]) -> dict[str, Any]:
        if self.many:
            return self.report(lease, outcome="success", outputs=outputs)
        return self.engine.complete(self.leases[lease], outputs)

    def fail(self, lease: int, retryable: bool) -> dict[str, Any]:
        if self.many:
            return self.report(lease, outcome="failure", error="boom", retryable=retryable)
        return self.engine.fail(self.leases[lease], "boom", retryable)

    def report(self, lease: int, **item: Any) -> dict[str, Any]:
        """A batch of one; strict, so that a refusal is raised as the single call raises it."""
        item["lease_id"] = self.leases[lease]
        (answer,) = self.engine.call("wfg_report_jobs", p_reports=[item], p_strict=True)
        assert answer.pop("lease_id") == self.leases[lease]
        assert answer.pop("ok") is True
        return answer

    # --- the same on both sides ---

    def claim_some(self, worker: str, ttl: int) -> list[dict[str, Any]]:
        return self.took(self.engine.claim_many(20, worker, ["spare"], ttl))

    def took(self, claims: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.leases += [lease_id(claim) for claim in claims]
        return claims

    def start(self, workflow_id: str, door: str) -> dict[str, Any]:
        function = "wfg_start_run" if door == "run" else "wfg_run_workflow"
        answer = self.engine.call(function, p_workflow_id=workflow_id)
        if answer["created"]:
            name = f"run {len(self.runs)}"
            self.runs[answer["run_id"]] = self.runs[answer["run_id"].replace("-", "")] = name
        return answer

    def a_run(self, number: int) -> str:
        return list(self.runs)[2 * number]

    # --- what is compared ---

    def masked(self, text: str) -> str:
        """Runs by their names; nonces are only there, or not."""
        return UUID.sub(lambda found: self.runs.get(found[0], "~"), text)

    def answer(self, call: Callable[["Side"], Any]) -> str:
        """The answer, or the refusal, as text."""
        try:
            return self.masked(json.dumps(call(self)))
        except psycopg.Error as error:
            if not str(error.sqlstate).startswith("PT4"):
                raise
            diag = error.diag
            return self.masked(f"{error.sqlstate} {diag.message_primary} {diag.message_detail}")

    def snapshot(self) -> dict[str, list[Any]]:
        """The rows of all tables, and what was heard since the last time."""
        found = json.loads(self.masked(self.engine.query(SNAPSHOT)[0]["rows"]))
        rows = {table: found[table] or [] for table in TABLES}
        rows["announced"], self.heard = sorted(self.heard), []
        return rows

    def workers(self) -> list[dict[str, Any]]:
        return self.engine.query(
            "select id, labels, registered_at, last_seen_at from wfg.workers order by id"
        )


class Script:
    """Random steps, the same on both sides, compared after each."""

    def __init__(self, one: Side, many: Side, seed: int, check_every: int) -> None:
        self.sides = (one, many)
        self.random = random.Random(seed)
        self.check_every = check_every
        self.seconds = 0.0
        self.steps = 0
        self.open: list[int] = []  # leases not reported yet, by number
        self.seen: Counter[str] = Counter()
        self.told = ""
        self.set_now()

        self.workflows = self.random.sample(list(FIXED), 4)
        graphs = {name: FIXED[name] for name in self.workflows} | {"random": self.random_graph()}
        self.workflows.append("random")
        for side in self.sides:
            for name, jobs in graphs.items():
                side.engine.put(name, jobs=jobs)
        # A second lane, always empty: so that there a claim of one takes the way of many.
        many.engine.put("spare", jobs=only("spare", labels=["spare"]))

    def random_graph(self) -> dict[str, Any]:
        jobs: dict[str, Any] = {}
        for number in range(self.random.randint(5, 25)):
            jobs[f"n{number:02}"] = {
                "run": "true",
                "needs": self.random.sample(list(jobs), min(len(jobs), self.random.choice([0, 1, 2, 3, 18]))),
                "retries": self.random.choice([0, 2]),
                "lost_retries": self.random.choice([0, 1]),
                "backoff": self.random.choice(["none", {"fixed": 1}, {"exponential": {"base": 1, "max": 9}}]),
            }
        return jobs

    def set_now(self) -> None:
        for side in self.sides:
            side.engine.set_now(after(self.seconds))

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
        self.set_now()

    # --- a step ---

    def step(self, what: str, call: Callable[[Side], Any]) -> None:
        """The same on both sides, a millisecond later."""
        self.steps += 1
        self.advance(0.001)
        self.told = f"step {self.steps}, {what}"
        one, many = (side.answer(call) for side in self.sides)
        assert one == many, self.told
        self.compare()
        if one.startswith("PT4"):
            self.seen[" ".join(one.split()[:2])] += 1
        if self.steps % self.check_every == 0:
            for side in self.sides:
                side.engine.check()

    def compare(self) -> None:
        one, many = (side.snapshot() for side in self.sides)
        for table in one:
            assert one[table] == many[table], f"{self.told}: {table}"
        self.look(one)

        for here, there in zip(*(side.workers() for side in self.sides), strict=True):
            # The short way writes that a worker was heard of only where its claim does not say so.
            apart = here.pop("last_seen_at") - there.pop("last_seen_at")
            assert abs(apart.total_seconds()) <= 10, f"{self.told}: {here['id']} was last seen"
            assert here == there, self.told

    def look(self, rows: dict[str, list[Any]]) -> None:
        """Note what there was to be compared."""
        for row in rows["jobs"]:
            self.seen[row["state"]] += 1
        for row in rows["queue"]:
            self.seen["held"] += row["held_from"] is not None
            self.seen["queued again"] += row["attempt"] > 0
        self.seen["stored apart"] += len(rows["outputs"])

    # --- what may happen ---

    def claim(self) -> None:
        worker, ttl = self.random.choice(["w1", "w2", "w3"]), self.random.choice([2, 60, 600, 600])
        some = self.random.random() < 0.15
        self.claimed(worker, ttl, some)

    def claimed(self, worker: str, ttl: int, some: bool) -> int:
        before = len(self.sides[0].leases)
        self.step(f"{worker} claims", lambda side: (side.claim_some if some else side.claim)(worker, ttl))
        new = range(before, len(self.sides[0].leases))
        self.open += new
        return len(new)

    def lease(self) -> int:
        """Mostly one that is open; now and then it stays so, or it never was."""
        if not self.open or self.random.random() < 0.03:
            leases = self.sides[0].leases
            if not leases:
                for side in self.sides:
                    side.leases.append("nonsense")
            return self.random.randrange(len(leases))
        place = self.random.randrange(len(self.open))
        return self.open[place] if self.random.random() < 0.05 else self.open.pop(place)

    def complete(self) -> None:
        lease, outputs = self.lease(), self.random.choice(OUTPUTS)
        self.step(f"lease {lease} is completed", lambda side: side.complete(lease, outputs))

    def fail(self) -> None:
        lease, retryable = self.lease(), self.random.random() < 0.8
        self.step(f"lease {lease} fails", lambda side: side.fail(lease, retryable))

    def release(self) -> None:
        self.call_for("wfg_release_job", self.lease())

    def renew(self) -> None:
        lease = self.lease()
        self.open.append(lease)
        self.call_for("wfg_renew_lease", lease)

    def call_for(self, function: str, lease: int) -> None:
        self.step(
            f"{function} of lease {lease}",
            lambda side: side.engine.call(function, p_lease_id=side.leases[lease]),
        )

    def start(self) -> None:
        workflow_id, door = self.random.choice(self.workflows), self.random.choice(["run", "workflow"])
        self.step(f"{workflow_id} starts by the {door} door", lambda side: side.start(workflow_id, door))

    def start_again(self) -> None:
        """Cancelled by its workflow, and run again: what is leased still holds the same jobs back."""
        workflow_id = self.random.choice(self.workflows)
        self.step(f"{workflow_id} runs", lambda side: side.start(workflow_id, "workflow"))
        self.claimed("w1", 60, some=True)
        self.step(
            f"{workflow_id} is cancelled",
            lambda side: side.engine.call("wfg_cancel_run", p_run_id=workflow_id),
        )
        self.step(f"{workflow_id} runs again", lambda side: side.start(workflow_id, "workflow"))

    def cancel_run(self) -> None:
        number = self.random.randrange(len(self.sides[0].runs) // 2)
        self.step(
            f"run {number} is cancelled",
            lambda side: side.engine.call("wfg_cancel_run", p_run_id=side.a_run(number)),
        )

    def cancel_job(self) -> None:
        """Any job that is not over."""
        rows = self.sides[0].engine.query(
            "select j.run_id::text, s.key from wfg.jobs j join wfg.runs r on r.id = j.run_id"
            " join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no"
            " where j.state = 'queued' order by j.run_id, j.job_no"
        )
        if not rows:
            return
        row = self.random.choice(rows)
        number = list(self.sides[0].runs).index(row["run_id"]) // 2
        self.step(
            f"{row['key']} of run {number} is cancelled",
            lambda side: side.engine.call("wfg_cancel_job", p_run_id=side.a_run(number), p_job_id=row["key"]),
        )

    def wait(self) -> None:
        self.advance(self.random.choice([1, 3, 6, 12, 61]))

    def reap(self) -> None:
        self.step("reap", lambda side: side.engine.call("wfg_reap"))

    # --- all of it ---

    def play(self, steps: int) -> Counter[str]:
        """So many random steps, and then to the end of all runs. What was seen."""
        ways: dict[Callable[[], None], float] = {
            self.claim: 30,
            self.complete: 45,
            self.fail: 3,
            self.release: 2,
            self.renew: 2,
            self.start: 3,
            self.start_again: 2,
            self.cancel_run: 1,
            self.cancel_job: 1.5,
            self.wait: 4,
            self.reap: 1,
        }
        for _ in range(3):
            self.start()
        for _ in range(steps):
            (way,) = self.random.choices(list(ways), list(ways.values()))
            way()
        self.drain()
        return self.seen

    def drain(self) -> None:
        active = "select 1 as run from wfg.runs where state = 'active' limit 1"
        for _ in range(200):
            while self.open:
                self.complete()
            if self.claimed("w1", 600, some=self.random.random() < 0.7):
                continue
            if not self.sides[0].engine.query(active):
                break
            self.advance(61)
        else:
            raise AssertionError("a run does not end")
        for side in self.sides:
            side.engine.check()


@contextmanager
def two_sides(databases: Databases, template: str) -> Iterator[tuple[Side, Side]]:
    dsns = [databases.make(template) for _ in range(2)]
    sides = Side(dsns[0], many=False), Side(dsns[1], many=True)
    try:
        yield sides
    finally:
        for side, dsn in zip(sides, dsns, strict=True):
            side.engine.close()
            databases.discard(dsn)


def test_one_call_has_the_effect_of_a_batch_of_one(databases: Databases, template: str) -> None:
    seen: Counter[str] = Counter()
    for seed in (0, 3, 4):
        with two_sides(databases, template) as sides:
            seen += Script(*sides, seed, check_every=20).play(60)

    assert seen.keys() >= SEEN, "the scripts do not meet all that there is"


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(100, 112))
def test_one_call_has_the_effect_of_a_batch_of_one_always(
    databases: Databases, template: str, seed: int
) -> None:
    with two_sides(databases, template) as sides:
        Script(*sides, seed, check_every=1).play(300)


# --- a difference is found ---

# In the function that is named, this for that: each makes the single call differ from the batch.
MUTATIONS: dict[str, tuple[str, str, str]] = {
    "the wide child is not counted down": (
        "complete_one",
        "and wfg.count_down_join(",
        "and false and wfg.count_down_join(",
    ),
    "a narrow child is not counted down": ("complete_one", "parents_left - 1", "parents_left - 0"),
    "a cancelled child is queued": (
        "complete_one",
        "and j.state = 'queued'\n      returning",
        "\n      returning",
    ),
    "small outputs are stored apart": ("complete_one", "> 1024", "> 1023"),
    "big outputs are lost": ("complete_one", "if v_is_big", "if false"),
    "the attempt is not kept": ("complete_one", "= v_plan.attempt", "= 0"),
    "it began when it ended": ("complete_one", "started_at  = v_plan.leased_at", "started_at = v_now"),
    "a cancelled lease completes": ("complete_one", "and q.cancelled_at is null", ""),
    "an expired lease completes": ("complete_one", "if v_expires_at <= v_now", "if false"),
    "the slot of a wide run is not counted": (
        "complete_one",
        "set open_left = s.open_left - 1",
        "set open_left = s.open_left",
    ),
    "slots of a run that is over stay": ("complete_one", "perform wfg.drop_slots(", "perform (select "),
    "a worker is not heard of": ("complete_one", "interval '5 seconds'", "interval '1 hour'"),
    "a timeout is forgotten": ("lease_first", "least(p_ttl_secs, s.timeout_secs)", "p_ttl_secs"),
    "the last job is claimed first": (
        "lease_first",
        "order by k.ready_at, k.run_id",
        "order by k.ready_at desc, k.run_id",
    ),
}
DAILY = ["the slot of a wide run is not counted", "big outputs are lost", "the last job is claimed first"]


def mutate(engine: Engine, function: str, old: str, new: str) -> None:
    """Replace text in a function of this database."""
    found = engine.query(
        "select pg_get_functiondef(p.oid) as text from pg_proc p"
        " where p.pronamespace = 'wfg'::regnamespace and p.proname = %s",
        function,
    )
    assert len(found) == 1, f"wfg.{function} is no more: what is the short way now?"
    assert old in found[0]["text"], f"wfg.{function} has changed: {old!r}"
    engine.connection.execute(found[0]["text"].replace(old, new).encode())


def test_every_mutation_can_be_made(engine: Engine) -> None:
    """All in a day; most are tried by night only."""
    for mutation in MUTATIONS.values():
        with engine.connection.transaction(force_rollback=True):
            mutate(engine, *mutation)


@pytest.mark.parametrize(
    "mutation",
    [name if name in DAILY else pytest.param(name, marks=pytest.mark.nightly) for name in MUTATIONS],
    ids=lambda name: name.replace(" ", "-"),
)
def test_a_difference_is_found(databases: Databases, template: str, mutation: str) -> None:
    """Each of these, in one script of a few."""
    for seed in range(10):
        with two_sides(databases, template) as sides:
            mutate(sides[0].engine, *MUTATIONS[mutation])
            try:
                Script(*sides, seed, check_every=20).play(80)
            except AssertionError:
                return
            except psycopg.Error as error:
                if str(error.sqlstate).startswith("42"):  # SQL that cannot run at all is no mutation
                    raise
                return
    raise AssertionError("nobody noticed")
