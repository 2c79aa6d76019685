"""The lease protocol, exhaustively: all states of small graphs under every interleaving; the broken variants,
each found; and that the model is the engine: whole calls replayed on it, state by state."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from tests import lease_protocol as protocol
from tests.arrange import START
from tests.engine import Engine
from tests.explorer import NEVER_OVER, Step, explore
from tests.lease_protocol import NAMES, Calls, Config, Label, Protocol, State

ONE = ((),)
TWO = ((), ())
CHAIN = ((), (0,))
JOIN = ((), (), (0, 1))
FORK = ((), (0,), (0,))
DIAMOND = ((), (0,), (0,), (1, 2))

ALL_CALLS = {"renews": True, "fails": True, "orphans": True, "upkeep": True}

# --- the explorer itself ---


class Numbers:
    """Numbers, and where each one leads; 9 is the end."""

    initial = 0

    def __init__(self, ways: dict[int, list[int]], bad: int = -1, unfair: tuple[int, ...] = ()) -> None:
        self.ways = ways
        self.bad = bad
        self.unfair = unfair

    def steps(self, state: int) -> list[Step]:
        return [Step(f"{state}-{to}", to, to not in self.unfair) for to in self.ways.get(state, [])]

    def flaw(self, state: int) -> str | None:
        return "bad" if state == self.bad else None

    def is_over(self, state: int) -> bool:
        return state == 9


def test_the_explorer_visits_all_and_finds_the_shortest_way() -> None:
    ways = {0: [1, 2], 1: [3], 2: [4], 3: [4, 9], 4: [3]}

    found = explore(Numbers(ways))
    assert (found.flaw, sorted(found.states), found.transitions) == (None, [0, 1, 2, 3, 4, 9], 7)
    assert explore(Numbers(ways, bad=4)).trace == ["0-2", "2-4"]


def test_the_explorer_finds_what_never_ends() -> None:
    for ways, unfair, trace in [
        ({0: [1, 9]}, (), ["0-1"]),  # a dead end
        ({0: [9, 1], 1: [2], 2: [1]}, (), ["0-1"]),  # a circle
        ({0: [1], 1: [9]}, (9,), []),  # an end that only the unfair reach
    ]:
        found = explore(Numbers(ways, unfair=unfair))
        assert (found.flaw, found.trace) == (NEVER_OVER, trace)


def test_the_explorer_does_not_stop_silently() -> None:
    with pytest.raises(AssertionError, match="more than 2 states"):
        explore(Numbers({0: [1, 2, 9]}), most=2)


# --- the protocol ---


def prove(config: Config, at_least: int) -> None:
    """All states are as they should be; and that there are that many, so nothing was left out unseen."""
    found = explore(Protocol(config))
    assert found.flaw is None, str(found)
    assert len(found.states) >= at_least, str(found)
    print(config, found)


@pytest.mark.parametrize(
    ("config", "at_least"),
    [
        pytest.param(Config(ONE, retries=0, cancels=1, **ALL_CALLS), 20_000, id="one job, all calls"),
        pytest.param(
            Config(ONE, renews=True, orphans=True, upkeep=True), 7_000, id="one job, retried, answers lost"
        ),
        pytest.param(Config(ONE, retries=0, lost_retries=1, fails=True, releases=1), 2_000, id="given back"),
        pytest.param(Config(CHAIN, cancels=1), 30_000, id="chain, cancelled"),
        pytest.param(Config(JOIN), 30_000, id="join, retried"),
        pytest.param(Config(CHAIN, retries=0, upkeep=True), 1_000, id="chain, upkeep"),
    ],
)
def test_every_interleaving_is_safe_and_every_run_ends(config: Config, at_least: int) -> None:
    prove(config, at_least)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("config", "at_least"),
    [
        pytest.param(Config(ONE, releases=1, **ALL_CALLS), 150_000, id="one job, all calls, retried"),
        pytest.param(
            Config(ONE, retries=0, releases=1, cancels=1, **ALL_CALLS),
            100_000,
            id="one job, all calls, given back",
        ),
        pytest.param(Config(CHAIN, retries=0, lost_retries=1, cancels=1, fails=True), 60_000, id="chain"),
        pytest.param(Config(FORK, retries=0, upkeep=True), 37_000, id="fork, upkeep"),
        pytest.param(Config(FORK, retries=0, cancels=1), 150_000, id="fork, cancelled"),
        pytest.param(Config(JOIN, retries=0, cancels=1), 100_000, id="join, cancelled"),
        pytest.param(Config(JOIN, workers=3), 30_000, id="join, three workers"),
        pytest.param(Config(DIAMOND, workers=3, retries=0), 20_000, id="diamond, three workers"),
    ],
)
def test_larger_ones_too(config: Config, at_least: int) -> None:
    prove(config, at_least)


@pytest.mark.parametrize(
    ("variant", "config", "flaw"),
    [
        (
            protocol.ReportTakesAGoneRow,
            Config(ONE, workers=1, orphans=True),
            protocol.TWO_COMPLETIONS,
        ),
        (protocol.JoinCountsFromAStaleRead, Config(JOIN, retries=0), protocol.LOST_JOB),
        (protocol.JoinIsReadyTooEarly, Config(JOIN, retries=0), protocol.OPEN_PARENT),
        (protocol.LostLeaseIsDropped, Config(ONE), NEVER_OVER),
        (protocol.ReportBelievesItsPlan, Config(ONE), protocol.OVER),
        (protocol.ReportIgnoresTheNonce, Config(ONE), protocol.OVER),
        (protocol.ReportIgnoresTheClock, Config(ONE), protocol.OVER),
        (protocol.RenewRevives, Config(ONE, renews=True), protocol.OVER),
        (protocol.ClaimDoesNotLookAgain, Config(ONE), protocol.LIVE_LEASE),
        (protocol.ReapDoesNotLookAgain, Config(ONE, renews=True), protocol.LIVE_LEASE),
        (protocol.ReapIgnoresTheNonce, Config(ONE, upkeep=True), protocol.LIVE_LEASE),
        (protocol.RunCountsFromAStaleRead, Config(TWO, retries=0), protocol.COUNTED),
        (protocol.SkipOverwrites, Config(CHAIN, retries=0, cancels=1), protocol.TERMINAL),
        (protocol.UpkeepTakesWhatItGets, Config(ONE, retries=0, upkeep=True), protocol.TERMINAL),
        (protocol.ReportLocksBackwards, Config(ONE, cancels=1), protocol.DEADLOCK),
        (protocol.RetryIsFree, Config(ONE), protocol.TOO_OFTEN),
        (protocol.CancelLeavesTheQueue, Config(ONE, cancels=1), protocol.ENDED_IN_QUEUE),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_broken_variant_is_found(variant: type[Protocol], config: Config, flaw: str) -> None:
    assert explore(Protocol(config)).flaw is None, "the engine as it is has no flaw there"

    found = explore(variant(config))
    assert found.flaw == flaw, str(found)
    assert len(found.trace) <= 20, "a short one"


# --- the model is the engine ---

TTL = 60  # a cancelled lease lives no longer


class Replay:
    """The engine beside the model: makes each call, and compares the answer and what is stored."""

    def __init__(self, engine: Engine, model: Calls) -> None:
        self.engine = engine
        self.model = model
        config = model.config
        self.leases: dict[tuple[int, int], str] = {}
        needs = {NAMES[j]: [NAMES[p] for p in parents] for j, parents in enumerate(config.parents)}
        policy = {"retries": config.retries, "lost_retries": config.lost_retries}
        # A label each: so the replay decides which job is claimed.
        engine.put(
            jobs={key: {"run": "true", "needs": n, "labels": [key], **policy} for key, n in needs.items()}
        )
        self.run_id = ""

    def along(self, path: list[tuple[State, Step]]) -> None:
        self.leases.clear()
        self.run_id = self.engine.start()
        done = []
        try:
            for state, step in path:
                first, last = step.label
                done.append(last)
                self.take(state, first, last)
                assert self.stored() == self.expected(step.to)
        except BaseException as error:
            error.add_note("\n".join(["after", *map(str, done)]))
            raise

    def take(self, state: State, first: Label, last: Label) -> None:
        engine = self.engine
        lease = self.leases.get(first.about[0]) if first.about else None
        match "crash" if first.step == "crashes" else first.call:
            case "crash":
                pass
            case "lease":
                self.expire(state, [job for job, _ in first.about])
            case "claim":
                (what,) = last.about or [None]
                claimed = engine.claim(labels=[NAMES[what[0]]] if what else ["nothing"], ttl=TTL)
                assert (claimed is None) == (what is None)
                if what and claimed:
                    assert claimed["job"]["job_id"] == NAMES[what[0]]
                    self.leases[what] = claimed["lease"]["lease_id"]
            case "reap":
                engine.call("wfg_reap")
            case "cancel run":
                engine.call("wfg_cancel_run", p_run_id=self.run_id)
            case "cancel job":
                engine.call("wfg_cancel_job", p_run_id=self.run_id, p_job_id=NAMES[first.about[0][0]])
            case "renew":
                self.renew(state, *first.about[0], last.step.endswith("is refused"))
            case "complete" | "fail" | "release":
                hold = protocol.Hold(*first.about[0])
                refused = self.model.answer(state, hold) if last.step.endswith("is refused") else None
                more = {"fail": {"p_error": "boom", "p_retryable": True}}.get(first.call, {})
                self.ask(f"wfg_{first.call}_job", refused, p_lease_id=lease, **more)
            case _:
                raise AssertionError(f"no such call: {first}")

    def ask(self, function: str, refused: str | None, **params: Any) -> Any:
        if refused:
            return self.engine.fails(function, status=409, slug=refused, **params)
        return self.engine.call(function, **params)

    def renew(self, state: State, job: int, nonce: int, refused: bool) -> None:
        """A cancelled lease is not renewed, and told so."""
        before = self.expiries().get(NAMES[job])
        now = self.engine.advance(0.1)
        params = {"p_lease_id": self.leases[job, nonce]}
        answer = self.ask("wfg_renew_lease", "lease_not_held" if refused else None, **params)
        row, after = state.queue[job], self.expiries().get(NAMES[job])
        if refused or (row is not None and row.cancelled):
            assert after == before
        else:
            assert after == now + timedelta(seconds=TTL)
        assert refused or answer["stop"] == ("cancelled" if row is not None and row.cancelled else None)

    def expiries(self) -> dict[str, datetime]:
        rows = self.engine.query(
            """select s.key, q.expires_at
                 from wfg.queue q
                 join wfg.job_specs s on s.version_id = q.version_id and s.job_no = q.job_no
                where q.run_id = %s""",
            self.run_id,
        )
        return {row["key"]: row["expires_at"] for row in rows}

    def expire(self, state: State, jobs: list[int]) -> None:
        """Let these leases expire, and renew the others in time."""
        self.engine.advance(TTL * 0.6)
        for job, row in enumerate(state.queue):
            if row is not None and row.nonce and not row.expired and job not in jobs:
                self.engine.call("wfg_renew_lease", p_lease_id=self.leases[job, row.nonce])
        self.engine.advance(TTL * 0.5)

    def stored(self) -> Any:
        run = self.engine.call("wfg_get_run", p_run_id=self.run_id)
        rows = self.engine.query(
            """select s.key, q.attempt, q.lost,
                      q.lease_nonce is not null as leased,
                      coalesce(q.expires_at <= wfg.now(), false) as expired,
                      q.cancelled_at is not null as cancelled
                 from wfg.queue q
                 join wfg.job_specs s on s.version_id = q.version_id and s.job_no = q.job_no
                where q.run_id = %s""",
            self.run_id,
        )
        return (
            run["state"],
            {job["job_id"]: job["state"] for job in run["jobs"]},
            {row.pop("key"): tuple(row.values()) for row in rows},
        )

    def expected(self, state: State) -> Any:
        jobs, queue = {}, {}
        for number, (job, row) in enumerate(zip(state.jobs, state.queue, strict=True)):
            running = job.state == "queued" and row is not None and row.nonce
            jobs[NAMES[number]] = "running" if running else job.state
            if row is not None:
                queue[NAMES[number]] = (row.attempt, row.lost, bool(row.nonce), row.expired, row.cancelled)
        run = state.run.state
        if run == "active":
            begun = any(row and (row.nonce or row.attempt) for row in state.queue) or set(jobs.values()) != {
                "queued"
            }
            run = "running" if begun else "queued"
        return run, jobs, queue


Walk = list[tuple[State, Step]]


def walks(model: Calls) -> list[Walk]:
    """Walks from the start that together take every step of every state.

    Nothing leads back, other than steps that change nothing.
    """
    states = explore(model).states
    number = {state: place for place, state in enumerate(states)}
    untaken = [[(step, number[step.to]) for step in model.steps(state)][::-1] for state in states]
    onward = [[(step, to) for step, to in ways if to != at] for at, ways in enumerate(untaken)]

    def is_open(at: int) -> bool:
        """Whether a step was not yet taken here or further on; what is done with is forgotten."""
        while not untaken[at] and onward[at] and not is_open(onward[at][-1][1]):
            onward[at].pop()
        return bool(untaken[at] or onward[at])

    chance = Random(3)
    walks = []
    while is_open(0):
        walk: Walk = []
        at = 0
        while is_open(at):
            if not untaken[at]:  # any way that is open, not always the same
                chance.shuffle(onward[at])
                is_open(at)
            step, to = untaken[at].pop() if untaken[at] else onward[at][-1]
            walk.append((states[at], step))
            at = to
        walks.append(walk)
    return walks


def of_every_kind(walks: list[Walk]) -> list[Walk]:
    chosen, had = [], set()
    for walk in walks:
        kinds = {kind(*place) for place in walk}
        if kinds - had:
            chosen.append(walk)
            had |= kinds
    return chosen


def kind(state: State, step: Step) -> Any:
    """What is called, with what effect, on a job in what state."""
    first, last = step.label
    job = (last.about or first.about or ((None, 0),))[0][0]
    row = None if job is None else state.queue[job]
    flags = row and (bool(row.nonce), row.expired, row.cancelled, row.attempt)
    return first.call, first.step, last.step, job, flags, job is not None and state.jobs[job].state


REPLAYED = {
    "one job": Config(ONE, releases=1, cancels=1, renews=True, fails=True, upkeep=True),
    "chain": Config(
        CHAIN, retries=0, lost_retries=1, releases=1, cancels=1, renews=True, fails=True, upkeep=True
    ),
    "join": Config(JOIN, retries=0, cancels=1, renews=True, fails=True, upkeep=True),
}


def replay(engine: Engine, name: str, choose: Callable[[list[Walk]], list[Walk]]) -> None:
    model = Calls(REPLAYED[name])
    found = explore(model)
    assert found.flaw is None, str(found)
    chosen = choose(walks(model))
    engine.set_now(START)
    beside = Replay(engine, model)
    for walk in chosen:
        beside.along(walk)
        # Whatever is left of it must not be in the way of the next.
        engine.call("wfg_cancel_run", p_run_id=beside.run_id)
        engine.advance(3600)
        engine.call("wfg_reap")
    taken = {(state, step.label, step.to) for walk in chosen for state, step in walk}
    print(
        f"{name}: {found}; {len(chosen)} walks, {sum(map(len, chosen))} calls, {len(taken)} different steps"
    )


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.nightly) if name == "chain" else name for name in REPLAYED],
)
def test_the_engine_goes_where_the_model_goes(engine: Engine, name: str) -> None:
    """So many of the walks that every kind of step is taken."""
    replay(engine, name, of_every_kind)


@pytest.mark.nightly
@pytest.mark.parametrize("name", REPLAYED)
def test_the_engine_takes_every_step_of_the_model(engine: Engine, name: str) -> None:
    replay(engine, name, lambda walks: walks)
