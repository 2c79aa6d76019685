"""Every pair of calls in two sessions, in every order of their steps (tests/interleaving.py).

After each order: nothing is broken, nothing but documented refusals was raised, the answers and the state
are those of the calls made one after the other, and the runs can be driven to their end.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from tests.arrange import START, after, cancel, chain, only, run_workflow
from tests.engine import Engine, lease_id
from tests.interleaving import Catalog, Execution, Op, Scheduler, explore, instrument, serial

KINDS = [
    "start", "rerun", "claim", "renew", "complete", "fail", "release", "report many", "cancel run",
    "cancel job", "reap", "prune", "put",
]  # fmt: skip

# What a call may be refused with, whoever else is at work. Refused items of a report of many are answers.
NOT_HELD = "PT409 lease_not_held"
REPEATED = "PT409 already_reported"
GONE = "PT404 run_not_found"
REFUSALS = {
    "rerun": {GONE, "PT409 run_not_finished", "PT409 nothing_to_rerun"},
    "renew": {NOT_HELD},
    "complete": {NOT_HELD, REPEATED, "PT409 lease_cancelled"},
    "fail": {NOT_HELD, REPEATED},
    "release": {NOT_HELD, REPEATED},
    "cancel run": {GONE},
    "cancel job": {GONE},
}

# Upkeep leaves for its next turn what others are at; a claim takes what is not locked.
SKIPPING = {"claim", "reap", "prune"}

# What may differ by who came first, and means nothing.
HINTS = ("lane_marks ", "label_sets ", "lanes ", "workers ")

LATE = after(100)  # leases have expired, those cancelled too


@dataclass
class Move:
    """One call that a session makes in a scene."""

    kind: str
    what: str
    call: Callable[[Engine], Any]
    now: datetime = START
    lease: str | None = None  # the one that it completes

    @property
    def name(self) -> str:
        return f"{self.kind} {self.what}".strip()

    def op(self) -> Op:
        return Op(self.name, self.call, self.now)


@dataclass
class Scene:
    """A state of the database, and the calls that collide in it."""

    name: str
    moves: list[Move] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)  # ids in answers, and what to call them
    restore: str = ""  # brings it back

    def add(self, kind: str, what: str, now: datetime, function: str, /, **params: Any) -> Move:
        move = Move(kind, what, lambda engine: engine.call(function, **params), now)
        self.moves.append(move)
        return move

    def claims(self) -> None:
        for what, now in (("", after(1)), ("late", LATE)):
            self.add("claim", what, now, "wfg_claim_jobs", p_worker_id="w3", p_labels=[], p_limit=20)

    def lease(self, name: str, lease: str) -> None:
        """All that can be done with a lease."""
        self.known[lease] = f"lease {name}"
        self.add("renew", name, after(2), "wfg_renew_lease", p_lease_id=lease)
        self.add("complete", name, after(3), "wfg_complete_job", p_lease_id=lease).lease = lease
        self.add("fail", name, after(4), "wfg_fail_job", p_lease_id=lease, p_error="boom")
        again = {"p_error": "again", "p_retryable": True}
        self.add("fail", f"{name} for now", after(5), "wfg_fail_job", p_lease_id=lease, **again)
        self.add("release", name, after(6), "wfg_release_job", p_lease_id=lease)

    def report(self, what: str, **outcomes: str) -> None:
        """Report several leases, by name, in this order."""
        leases = {name.removeprefix("lease "): lease for lease, name in self.known.items()}
        reports = [
            {"lease_id": leases[name], "outcome": o, **({"error": "e"} if o == "failure" else {})}
            for name, o in outcomes.items()
        ]
        self.add("report many", what, after(7), "wfg_report_jobs", p_reports=reports)

    def upkeep(self, workflow: str, jobs: dict[str, Any]) -> None:
        self.add("reap", "", LATE, "wfg_reap")
        self.add("prune", "", after(200), "wfg_prune", p_older_than_secs=0)
        self.add("put", "", after(8), "wfg_put_workflow", p_workflow_id=workflow, p_definition={"jobs": jobs})


def claimed(engine: Engine, count: int) -> dict[str, str]:
    """Claim so many; their leases by job. No two expire at the same time: who is first must not be luck."""
    claims = [engine.claim(ttl=30 + number) for number in range(count)]
    return {claim["job"]["job_id"]: lease_id(claim) for claim in claims if claim}


NARROW = {
    "a": {"run": "true", "retries": 1},
    "b": {"run": "true"},
    "c": {"run": "true", "needs": ["a", "b"]},
    "d": {"run": "true", "needs": ["c"]},
    "e": {"run": "true"},
}


def siblings(engine: Engine, scene: Scene) -> None:
    """Two leased parents of a join, one with a retry; a job beside them is ready."""
    engine.put(jobs=NARROW)
    run = engine.start()
    leases = claimed(engine, 2)
    assert set(leases) == {"a", "b"}

    scene.add("start", "", after(9), "wfg_start_run", p_workflow_id="wf", p_idempotency_key="k")
    scene.add("rerun", "", after(9), "wfg_rerun_run", p_run_id=run, p_jobs="failed")
    scene.claims()
    scene.lease("a", leases["a"])
    scene.lease("b", leases["b"])
    scene.report("a, b", a="success", b="success")
    scene.report("b fails, a", b="failure", a="success")
    scene.add("cancel run", "", after(10), "wfg_cancel_run", p_run_id=run)
    for job in "ac":
        scene.add("cancel job", job, after(11), "wfg_cancel_job", p_run_id=run, p_job_id=job)
    scene.upkeep("wf", {**NARROW, "f": {"run": "true"}})


PARENTS = [f"p{number:02}" for number in range(1, 18)]
WIDE = {
    **only(*PARENTS),
    "p01": {"run": "true", "retries": 1},
    "sink": {"run": "true", "needs": PARENTS},
    "tail": {"run": "true", "needs": ["sink", "p01"]},
}


def wide(engine: Engine, scene: Scene) -> None:
    """The last two parents of a wide join are leased: both count in the same slot of it, and of the run."""
    engine.put(jobs=WIDE)
    run = engine.start()
    leases = claimed(engine, 17)
    for parent in PARENTS[1:16]:
        engine.complete(leases[parent])

    scene.add("start", "", after(9), "wfg_start_run", p_workflow_id="wf")
    scene.add("rerun", "", after(9), "wfg_rerun_run", p_run_id=run, p_jobs="failed")
    scene.claims()
    scene.lease("p01", leases["p01"])
    scene.lease("p17", leases["p17"])
    scene.report("p01, p17", p01="success", p17="success")
    scene.report("p17 fails, p01", p17="failure", p01="success")
    scene.add("cancel run", "", after(10), "wfg_cancel_run", p_run_id=run)
    for job in ("p01", "sink", "tail"):
        scene.add("cancel job", job, after(11), "wfg_cancel_job", p_run_id=run, p_job_id=job)
    scene.upkeep("wf", {**WIDE, "f": {"run": "true"}})


def two_runs(engine: Engine, scene: Scene) -> None:
    """Two runs of a chain, the head of each leased; a third run is over."""
    engine.put(jobs=chain(3))
    over = engine.start()
    for _ in range(3):
        engine.complete(engine.claim())
    runs = [engine.start(), engine.start()]
    claims = {claim["job"]["run_id"]: lease_id(claim) for ttl in (30, 31) if (claim := engine.claim(ttl=ttl))}

    scene.add("start", "", after(9), "wfg_start_run", p_workflow_id="wf", p_idempotency_key="k")
    scene.claims()
    scene.lease("one", claims[runs[0]])
    scene.known[claims[runs[1]]] = "lease two"
    scene.report("one, two", one="success", two="success")
    scene.report("two, one", two="success", one="failure")
    for number, run in enumerate(runs, 1):
        scene.add("cancel run", str(number), after(10), "wfg_cancel_run", p_run_id=run)
    scene.add("rerun", "", after(9), "wfg_rerun_run", p_run_id=over, p_from_job_id="j2")
    scene.add("cancel run", "that is over", after(10), "wfg_cancel_run", p_run_id=over)
    scene.add("cancel job", "j2", after(11), "wfg_cancel_job", p_run_id=runs[0], p_job_id="j2")
    scene.upkeep("wf", chain(4))


def last(engine: Engine, scene: Scene) -> None:
    """Its only job is leased: whatever ends it ends the run. It was retried: an older lease is superseded."""
    engine.put(jobs=only("a", retries=2, lost_retries=1))
    run = engine.start()
    old = lease_id(engine.claim())
    engine.fail(old, retryable=True)
    new = lease_id(engine.claim())

    scene.add("start", "", after(9), "wfg_start_run", p_workflow_id="wf")
    scene.add("rerun", "", after(9), "wfg_rerun_run", p_run_id=run, p_jobs="failed")
    scene.claims()
    scene.lease("new", new)
    scene.lease("old", old)
    scene.report("new, old", new="success", old="success")
    scene.add("cancel run", "", after(10), "wfg_cancel_run", p_run_id=run)
    scene.add("cancel job", "a", after(11), "wfg_cancel_job", p_run_id=run, p_job_id="a")
    scene.upkeep("wf", only("a", "b"))


DOOR = {**only("a", "b"), "c": {"run": "true", "needs": ["a"]}}


def cancelled(engine: Engine, scene: Scene) -> None:
    """Cancelled leases of the workflow door, before its next run."""
    engine.put(jobs=DOOR)
    run = run_workflow(engine)
    leases = claimed(engine, 2)
    cancel(engine, run)
    door(scene, run, leases)


def held(engine: Engine, scene: Scene) -> None:
    """Cancelled leases of the workflow door, and its next run: its jobs are held."""
    cancelled(engine, Scene(""))
    leases = {
        row["cancelled_job_id"]: row["lease"]
        for row in engine.query(
            "select cancelled_job_id, wfg.lease_id(run_id, job_no, lease_nonce) as lease from wfg.queue"
        )
    }
    door(scene, run_workflow(engine), leases)


def door(scene: Scene, run: str, leases: dict[str, str]) -> None:
    scene.add("start", "", after(9), "wfg_run_workflow", p_workflow_id="wf")
    scene.add("rerun", "", after(9), "wfg_rerun_run", p_run_id=run, p_idempotency_key="again")
    scene.claims()
    scene.lease("a", leases["a"])
    scene.known[leases["b"]] = "lease b"
    scene.report("b, a", b="failure", a="failure")
    scene.add("cancel run", "", after(10), "wfg_cancel_run", p_run_id="wf")
    for job in "ac":
        scene.add("cancel job", job, after(11), "wfg_cancel_job", p_run_id=run, p_job_id=job)
    scene.upkeep("wf", {**DOOR, "d": {"run": "true"}})


SCENES = {make.__name__: make for make in (siblings, wide, two_runs, last, cancelled, held)}


@dataclass
class Result:
    """What came of two calls."""

    answers: list[list[str]]  # of each call, its items
    facts: str


class Wrong(AssertionError):
    """Something is wrong after an order of steps: what, and which order."""


def demand(condition: object, what: str, story: str) -> None:
    if not condition:
        raise Wrong(f"{what}\n{story}")


class Stage:
    """One instrumented database: sets up a scene again and again, plays pairs of calls in it, looks after."""

    def __init__(self, dsn: str, seen: bool = False) -> None:
        self.dsn = dsn
        self.engines: list[Engine] = []
        self.director = self.connect()
        self.places = instrument(self.director, seen)
        self.scheduler = Scheduler(self.connect, self.places)
        self.tables = self.director.tables()
        self.all_rows = " union all ".join(
            f"select '{table}' as name, to_jsonb(t) as row from wfg.{table} t"
            for table in self.tables
            if table not in ("job_specs", "workflows")
        )
        self.scenes: dict[str, Scene] = {}
        self.sound: set[tuple[str, str]] = set()  # states that were looked at, by scene
        self.orders = 0

    def connect(self) -> Engine:
        self.engines.append(Engine(self.dsn))
        return self.engines[-1]

    def close(self) -> None:
        self.scheduler.close()
        for engine in self.engines:
            engine.close()

    # --- states ---

    def scene(self, name: str) -> Scene:
        """Set a scene up, and keep it."""
        if name not in self.scenes:
            self.empty()
            scene = self.scenes[name] = Scene(name)
            self.director.set_now(START)
            SCENES[name](self.director, scene)
            for move in scene.moves:
                assert move.kind in KINDS
            self.director.query(f"create schema scene_{name}")
            for table in self.tables:
                self.director.query(f"create table scene_{name}.{table} as table wfg.{table}")
            for row in self.director.query("select id::text as id, workflow_id from wfg.runs order by id"):
                scene.known[row["id"]] = f"run {len(scene.known)}"
            copies = "".join(
                f"insert into wfg.{table} overriding system value select * from scene_{name}.{table};"
                for table in self.tables
                if self.director.query(f"select 1 as found from wfg.{table} limit 1")
            )
            scene.restore = self.without_triggers(self.deletes() + copies)
        return self.scenes[name]

    def deletes(self) -> str:
        return "".join(f"delete from wfg.{table};" for table in self.tables)

    def empty(self) -> None:
        self.director.connection.execute(self.without_triggers(self.deletes()))

    @staticmethod
    def without_triggers(statements: str) -> str:
        return f"begin; set local session_replication_role = replica; {statements} commit"

    def restore(self, scene: Scene) -> None:
        self.director.connection.execute(scene.restore)
        self.orders += 1
        if self.orders % 200 == 0:
            self.director.connection.execute("vacuum")

    # --- pairs ---

    def play(
        self, scene: Scene, moves: tuple[Move, Move], bound: int | None = None, most: int = 10**9
    ) -> int | None:
        """As play_orders. When something is wrong, the two sessions are left behind, wherever they are."""
        try:
            return self.play_orders(scene, moves, bound, most)
        except BaseException:
            self.scheduler.close()
            self.scheduler = Scheduler(self.connect, self.places)
            raise

    def play_orders(
        self, scene: Scene, moves: tuple[Move, Move], bound: int | None = None, most: int = 10**9
    ) -> int | None:
        """All orders of two calls (or those with so many preemptions); how many. None: more than `most`."""
        ops = [move.op() for move in moves]
        self.scheduler.skip([])
        firsts, expected = [], []
        for order in ((1, 2), (2, 1)):
            self.restore(scene)
            firsts.append(serial(self.scheduler, ops, order))
            expected.append(self.look(scene, moves, firsts[-1]))

        # Those two tell where it is needless to stop. Later ones may tell otherwise: then all over again.
        self.scheduler.skip(firsts)
        again = True
        while again:
            count, again = 0, False
            for execution in explore(self.scheduler, lambda: self.restore(scene), ops, bound):
                count += execution.new
                result = self.look(scene, moves, execution)
                self.compare(moves, result, expected, tell(scene, moves, execution))
                if execution.places() - {place for first in firsts for place in first.places()}:
                    firsts.append(execution)
                    again = self.scheduler.skips_too_much(firsts)
                if again:
                    self.scheduler.skip(firsts)
                    break
                if count > most:
                    return None
        return count

    def compare(self, moves: tuple[Move, Move], result: Result, expected: list[Result], story: str) -> None:
        """It must be what comes of the two calls one after the other.

        Upkeep may leave things to its next turn, and a claim passes over what is locked: it may do half of
        its upkeep. So beside a claim each item of the other's answer must be right, for itself and its job.
        """
        if any(move.kind == "claim" for move in moves):
            for number, move in enumerate(moves):
                answers, *allowed = (
                    [re.sub(r', "run": "\w+"', "", item) for item in one.answers[number]]
                    for one in (result, *expected)
                )
                right = move.kind in SKIPPING or all(
                    item in others for item, *others in zip(answers, *allowed, strict=True)
                )
                demand(right, f"{move.name} answers {answers}, not of {allowed}", story)
        else:
            found, *others = (
                [one.facts, *(a for a, m in zip(one.answers, moves, strict=True) if m.kind not in SKIPPING)]
                for one in (result, *expected)
            )
            demand(found in others, f"of no serial order:\n{found}\nbut\n{others}", story)

    def look(self, scene: Scene, moves: tuple[Move, Move], execution: Execution) -> Result:
        """Nothing is broken, nobody was refused for another reason than documented. What came of it."""
        story = tell(scene, moves, execution)
        for move, outcome in zip(moves, execution.outcomes, strict=True):
            if outcome.error:
                demand(outcome.refused in REFUSALS.get(move.kind, ()), str(outcome.error), story)
        accepted = [
            m.lease for m, o in zip(moves, execution.outcomes, strict=True) if m.lease and not o.error
        ]
        demand(len(set(accepted)) == len(accepted), "two completions of one lease were accepted", story)

        claimed = [
            (claim["job"]["run_id"], claim["job"]["job_id"], claim["job"]["attempt"])
            for move, outcome in zip(moves, execution.outcomes, strict=True)
            for claim in (outcome.answer if move.kind == "claim" else [])
        ]
        demand(len(set(claimed)) == len(claimed), f"claimed twice: {claimed}", story)

        upkeep = [move for move in moves if move.kind in ("reap", "prune")]
        state = self.state(scene)
        if upkeep:
            if (scene.name, state) not in self.sound:
                self.check(story)
            for move in upkeep:
                self.director.set_now(move.now)
                move.call(self.director)
            state = self.state(scene)
        if (scene.name, state) not in self.sound:
            self.check(story)
            self.finish(story)
            self.sound.add((scene.name, state))

        answers = [
            [
                # Whether another job of the run is leased is seen before it is committed, or after.
                anonymous(json.dumps(item), scene).replace('"run": "queued"', '"run": "running"')
                for item in (answer if isinstance(answer, list) else [answer])
            ]
            for answer in (outcome.refused or outcome.answer for outcome in execution.outcomes)
        ]
        facts = [line for line in state.split("\n") if not line.startswith(HINTS)]
        return Result(answers, "\n".join(facts))

    def state(self, scene: Scene) -> str:
        """All rows, with known names for what has a random id."""
        rows = self.director.query(self.all_rows)
        versions = sorted({int(row["row"]["id"]) for row in rows if row["name"] == "workflow_versions"})
        lines = []
        for row in rows:
            facts = row["row"]
            if row["name"] == "workflow_versions":
                facts.pop("id")
            if "version_id" in facts:
                facts["version_id"] = versions.index(facts["version_id"])
            lines.append(f"{row['name']} {anonymous(json.dumps(facts), scene)}")
        return "\n".join(sorted(lines))

    def check(self, story: str) -> None:
        broken = self.director.call("wfg_check", p_all=True)
        demand(broken == [], str(broken), story)

    def finish(self, story: str) -> None:
        """Whatever is left can be done, and then every run is over; what had ended stays as it was."""
        ended = "select run_id, job_no, to_jsonb(j)::text as job from wfg.jobs j where state <> 'queued'"
        before = self.director.query(ended)
        self.director.set_now(after(86_400))
        self.director.call("wfg_reap")
        while leases := [lease_id(claim) for claim in self.director.claim_many(1000, "w9")]:
            reports = [{"lease_id": lease, "outcome": "success"} for lease in leases]
            answers = self.director.call("wfg_report_jobs", p_reports=reports)
            demand(all(answer["ok"] for answer in answers), str(answers), story)
        left = self.director.query(
            "select r.id from wfg.runs r where r.state = 'active'"
            " union all select q.run_id from wfg.queue q"
            " union all select j.run_id from wfg.jobs j where j.state = 'queued'"
        )
        demand(left == [], f"runs do not end: {left}", story)
        now = {row["job"] for row in self.director.query(ended)}
        demand(all(row["job"] in now for row in before), "what had ended changed", story)
        self.check(story)


def anonymous(text: str, scene: Scene) -> str:
    """Known names for known ids, none for those that are random."""
    for known, name in scene.known.items():
        text = text.replace(known, name)
    text = re.sub(r"[0-9a-f]{32}\.\d+\.[0-9a-f]{32}", "lease", text)
    return re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "id", text)


def tell(scene: Scene, moves: tuple[Move, Move], execution: Execution) -> str:
    return f"{scene.name}: {moves[0].name} | {moves[1].name}\n{execution}"


# --- tests ---

FULL = 200
PARTS = 4


@pytest.fixture(scope="module")
def stage(new_database: Callable[..., str], template: str) -> Iterator[Stage]:
    stage = Stage(new_database(template))
    yield stage
    stage.close()


def chosen(stage: Stage, kinds: tuple[str, str]) -> tuple[Scene, tuple[Move, Move]]:
    """One pair of two kinds: the scenes take turns, and so do the calls of a kind."""
    number = [*itertools.combinations_with_replacement(KINDS, 2)].index(kinds)
    scene = stage.scene([*SCENES][number % len(SCENES)])
    first, second = ([move for move in scene.moves if move.kind == kind] for kind in kinds)
    return scene, (first[0], second[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_every_pair_with_one_preemption(stage: Stage, kind: str) -> None:
    """Each kind of call beside itself and those that follow in the list, in a scene that they share."""
    others = KINDS[KINDS.index(kind) :]
    count = 0
    for other in others:
        scene, moves = chosen(stage, (kind, other))
        count += stage.play(scene, moves, bound=1) or 0
    print(f"{kind}: {len(others)} pairs, {count} orders")
    assert count > 3 * len(others)


def test_cancelling_by_the_id_of_a_workflow_while_its_next_run_starts(stage: Stage) -> None:
    """It cancels the run before, or the new one. Once it said that there was none: found here."""
    scene = stage.scene("cancelled")
    named = {move.name: move for move in scene.moves}
    stage.play(scene, (named["start"], named["cancel run"]), bound=1)


@pytest.mark.nightly
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_pair_in_every_order(stage: Stage, name: str, part: int) -> None:
    """In each scene every call beside every other and itself, in every order.

    Where there are more than FULL, it is the first FULL of them and those with one preemption.
    """
    scene = stage.scene(name)
    pairs = [*itertools.combinations_with_replacement(scene.moves, 2)][part::PARTS]
    count = full = 0
    wrong = []
    for moves in pairs:
        try:
            orders = stage.play(scene, moves, most=FULL)
            full += orders is not None
            count += orders or FULL + (stage.play(scene, moves, bound=1) or 0)
        except Wrong as error:
            wrong.append(str(error))
    print(f"{name}: {len(pairs)} pairs, {full} of them in every order; {count} orders")
    assert not wrong, "\n\n".join(wrong)
    assert count > 3 * len(pairs)


@pytest.mark.nightly
def test_every_pair_stopped_inside_of_statements(new_database: Callable[..., str], template: str) -> None:
    """Also where a writing statement has its snapshot, and has touched no row yet; with one preemption."""
    stage = Stage(new_database(template), seen=True)
    scene = stage.scene("last")
    pairs = [*itertools.combinations_with_replacement(scene.moves, 2)]
    count = sum(stage.play(scene, moves, bound=1) or 0 for moves in pairs)
    stage.close()
    print(f"last: {len(pairs)} pairs, {count} orders")
    assert count > 3 * len(pairs)


@pytest.mark.broken_on_purpose
@pytest.mark.parametrize("table", ["queue", "jobs"])
def test_finds_what_goes_wrong_without_locks(
    new_database: Callable[..., str], template: str, table: str
) -> None:
    """The same engine, but no function that knows this table locks a row before it looks."""
    dsn = new_database(template)
    engine = Engine(dsn)
    changed = 0
    for function in Catalog(engine).functions:
        body = function["body"]
        if re.search(rf"\bwfg\.{table}\b", body):
            without = re.sub(r"\sfor (?:no key )?update(?: of \w+)?(?: skip locked)?", "", body)
            changed += without != body
            engine.connection.execute(function["definition"].replace(body, without))
    engine.close()
    assert changed >= 3

    stage = Stage(dsn)
    scene = stage.scene("last")
    named = {move.name: move for move in scene.moves}
    found = []
    for pair in (("complete new", "cancel run"), ("renew new", "reap")):
        try:
            stage.play(scene, (named[pair[0]], named[pair[1]]), bound=1)
        except Wrong as error:
            found.append(error)
    stage.close()
    assert found
