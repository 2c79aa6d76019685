"""supabase/functions/worker in the real Deno: what a call does, and what is left when it is cut short."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from tests.edge import SERVICE_KEY, Functions, functions, needs_deno
from tests.engine import Engine
from tests.serving import serving
from tests.test_tokens import make_token
from tests.workers import attempts_of, job_of, log_of, until_sync

pytestmark = needs_deno

COUNTS = ("claimed", "success", "failure", "queued", "cancelled", "released", "lost")


@pytest.fixture(scope="module")
def world(new_database, template, tmp_path_factory):
    """A database, the server, and a worker with time enough."""
    dsn = new_database(template)
    engine = Engine(dsn)
    tokens = {scope: make_token(engine, scope, scope) for scope in ("worker", "reader")}
    with (
        serving(dsn, api_token=SERVICE_KEY) as server,
        functions(
            tmp_path_factory.mktemp("edge"),
            "worker",
            url=server.base_url,
            WFG_WALL_CLOCK_SECS="3600",
            WFG_LEASE_SECS="2",
            WFG_LABELS="eu, , unhandled",
        ) as edge,
    ):
        edge.headers["authorization"] = f"Bearer {tokens['worker']}"
        yield SimpleNamespace(engine=engine, url=server.base_url, edge=edge, tokens=tokens)
    engine.check()
    engine.close()


def call(edge: Functions, path: str = "/worker") -> dict[str, Any]:
    """The summary of a call; counts that are 0 are left out."""
    response = edge.post(path)
    assert response.status_code == 200, response.text
    summary = response.json()
    assert list(summary) == ["worker_id", *COUNTS, "stopped", "secs"]
    del summary["worker_id"], summary["secs"]
    return {name: value for name, value in summary.items() if value != 0}


def start(engine: Engine, jobs: dict[str, Any], **params: Any) -> str:
    top = params.pop("top", {})
    engine.put("edge", jobs=jobs, **top)
    return engine.start("edge", **params)


def job(label: str, **keys: Any) -> dict[str, Any]:
    return {"run": "exit 1", "labels": [label], **keys}


def test_one_call_does_all_there_is(world):
    """What its jobs lead to, too, with logs and outputs; not jobs without labels, nor of others."""
    run = start(
        world.engine,
        {
            "hello": job("edge-hello"),
            "say": {**job("say"), "labels": ["eu", "say"]},
            "both": job("join", needs=["hello", "say"]),
            "shell": {"run": "true"},
            "gpu": job("gpu"),
        },
        top={"inputs": {"who": {"type": "string"}, "n": {"type": "number"}, "text": {"type": "string"}}},
        p_inputs={"who": "Ada", "n": 1.5, "text": "!"},
    )
    assert call(world.edge) == {"claimed": 3, "success": 3, "stopped": "idle"}
    states = {"hello": "success", "say": "success", "both": "success", "shell": "queued", "gpu": "queued"}
    assert world.engine.jobs(run) == states

    def outputs(name: str) -> Any:
        return world.engine.call("wfg_get_outputs", p_run_id=run, p_job_id=name)

    assert outputs("hello") == {"text": "Hello, Ada!"}
    assert outputs("say") == {"who": "Ada", "n": "1.5", "text": "!", "list": "[1,2]"}
    assert outputs("both") == {"text": "!+Hello, Ada!"}
    assert log_of(world.engine, run, "hello") == "greeting Ada\n"
    (worker,) = world.engine.call("wfg_list_workers")
    assert worker["worker_id"] == "edge-local"
    assert {"!unlabeled", "edge-hello", "eu"} <= set(worker["labels"])
    assert call(world.edge) == {"stopped": "idle"}
    world.engine.call("wfg_cancel_run", p_run_id=run)


def test_what_fails(world):
    """A handler that throws is tried again if retries are left; what no retry would repair is not."""
    run = start(
        world.engine,
        {
            "throw": job("throw", retries=1),
            "never": job("never", retries=1),
            "too-much": job("too-much", retries=1),
            "unhandled": job("unhandled", retries=1),
            "example": job("edge-hello", retries=1),
            "fine": job("short"),
        },
        top={"inputs": {"who": {"type": "number"}}},
        p_inputs={"who": 1},
    )
    assert call(world.edge) == {"claimed": 7, "success": 1, "failure": 5, "queued": 1, "stopped": "idle"}

    errors = {
        name: (found["job"]["attempt"], found["job"]["error"])
        for name in world.engine.jobs(run)
        if (found := world.engine.call("wfg_get_job", p_run_id=run, p_job_id=name))["job"]["error"]
    }
    assert {name: attempt for name, (attempt, _) in errors.items()} == {
        **dict.fromkeys(("never", "too-much", "unhandled", "example"), 0),
        "throw": 1,
    }
    assert errors["throw"][1].startswith("Error: boom \ufffd \ufffd\n    at ")
    assert errors["never"][1].startswith("Error: no use\n    at ")
    assert errors["too-much"][1].startswith("its outputs were refused: ")
    assert errors["unhandled"][1] == 'no handler for the labels ["unhandled"]'
    assert errors["example"][1].startswith("Error: who must be a text")


def test_a_log_keeps_its_order_and_comes_before_the_report(world):
    run = start(world.engine, {"a": job("chatty")})
    assert call(world.edge)["success"] == 1
    assert log_of(world.engine, run) == "".join(f"{line} " * 200 + "\n" for line in range(200))


def test_many_calls_at_once_do_each_job_once(world):
    runs = [start(world.engine, {"a": job("short", retries=3)}) for _ in range(30)]
    with ThreadPoolExecutor(6) as pool:
        summaries = list(pool.map(lambda _: call(world.edge), range(6)))
    assert sum(summary.get("success", 0) for summary in summaries) == 30
    assert sum(summary.get("claimed", 0) for summary in summaries) == 30
    assert {world.engine.state(run) for run in runs} == {"success"}
    assert {job_of(world.engine, run)["attempt"] for run in runs} == {0}


def running(world: SimpleNamespace, run: str, name: str = "a") -> None:
    until_sync(lambda: world.engine.jobs(run)[name] == "running")


def leases(world: SimpleNamespace) -> list[Any]:
    """When those that there are end."""
    rows = world.engine.query("select expires_at as at from wfg.queue where lease_nonce is not null")
    return [row["at"] for row in rows]


def test_what_becomes_of_a_job_whose_lease_ends(world):
    """Renewed meanwhile; cancelled, it stops and is acknowledged; lost, it stops and nothing is reported."""
    runs = [start(world.engine, {"a": job("wait", retries=1)}) for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        summary = pool.submit(call, world.edge)
        for run in runs:
            running(world, run)
        first = leases(world)
        until_sync(lambda: min(leases(world)) > max(first))
        world.engine.call("wfg_cancel_run", p_run_id=runs[0])
        until_sync(lambda: len(leases(world)) == 1)
        world.engine.advance(3600)
        world.engine.call("wfg_reap")
        world.engine.set_now(None)
        assert summary.result() == {"claimed": 2, "cancelled": 1, "lost": 1, "stopped": "idle"}

    (cancelled,) = attempts_of(world.engine, runs[0])
    assert (cancelled["outcome"], cancelled["error"]) == ("cancelled", "cancelled")
    (lost,) = attempts_of(world.engine, runs[1])
    assert "lease" in lost["error"]
    assert world.engine.jobs(runs[1]) == {"a": "queued"}
    world.engine.call("wfg_cancel_run", p_run_id=runs[1])


def test_a_timeout_is_reported_before_the_engine_must_notice(world):
    run = start(world.engine, {"a": job("wait", timeout=1), "b": job("short")})
    assert call(world.edge) == {"claimed": 2, "success": 1, "failure": 1, "stopped": "idle"}
    assert job_of(world.engine, run)["error"] == "timed out after 1 s"


def test_a_job_that_is_given_back_is_left_for_the_next_call(world):
    run = start(world.engine, {"a": job("give-back")})
    assert call(world.edge) == {"claimed": 1, "released": 1, "stopped": "given back"}
    assert (world.engine.jobs(run), job_of(world.engine, run)["attempt"]) == ({"a": "queued"}, 0)
    world.engine.call("wfg_cancel_run", p_run_id=run)


def test_in_the_background(world):
    run = start(world.engine, {"a": job("short")})
    accepted = world.edge.get("/worker?background=true")
    assert (accepted.status_code, accepted.json()) == (202, {"worker_id": "edge-local"})
    until_sync(lambda: world.engine.state(run) == "success")
    until_sync(lambda: '"success":1' in world.edge.said())


def test_who_may_call_it(world):
    def told(path: str = "/worker", method: str = "POST", **headers: str) -> Any:
        response = world.edge.request(method, path, headers=headers)
        return response.status_code, response.json()["message"]

    run = start(world.engine, {"a": job("short")})
    assert told(authorization="x") == (401, "token_missing")
    assert told(authorization="Bearer wfg_unknown") == (401, "token_invalid")
    assert told(authorization=f"Bearer {world.tokens['reader']}") == (403, "scope_missing")
    assert told("/worker/x") == (404, "not_found")
    assert told(method="DELETE") == (405, "method_not_allowed")
    assert world.engine.state(run) == "queued"
    assert (
        world.edge.get("/worker", headers={"authorization": f"Bearer {SERVICE_KEY}"}).json()["success"] == 1
    )


# --- the wall clock ---


@pytest.mark.parametrize("stubborn", ["wait", pytest.param("deaf", marks=pytest.mark.nightly)])
def test_the_wall_clock(world, tmp_path, stubborn):
    """At its end what runs is stopped, unless it ends well then; what was not started is given back."""
    runs = {
        label: start(world.engine, {"a": job(label, retries=1)})
        for label in (stubborn, "yield", "short", "say")
    }
    clock = {"WFG_WALL_CLOCK_SECS": "3", "WFG_JOB_SECS": "1.2", "WFG_SLOTS": "2", "WFG_PREFETCH": "9"}
    with functions(tmp_path, "worker", url=world.url, **clock) as edge:
        edge.headers["apikey"] = SERVICE_KEY
        expected = {"claimed": 4, "success": 1, "queued": 1, "released": 2, "stopped": "out of time"}
        assert call(edge) == expected
        assert call(edge) == {"stopped": "out of time"}  # nothing is begun any more

    found = {label: job_of(world.engine, run) for label, run in runs.items()}
    assert {label: (each["state"], each["attempt"]) for label, each in found.items()} == {
        stubborn: ("queued", 1),
        "yield": ("success", 0),
        "short": ("queued", 0),
        "say": ("queued", 0),
    }
    (attempt,) = attempts_of(world.engine, runs[stubborn])
    assert attempt["error"] == "out of time: the worker's wall clock ended it"
    for run in runs.values():
        world.engine.call("wfg_cancel_run", p_run_id=run)


def test_an_isolate_that_is_taken_away_early_says_so(world):
    run = start(world.engine, {"a": job("wait", retries=1)})
    with ThreadPoolExecutor() as pool:
        summary = pool.submit(call, world.edge)
        running(world, run)
        assert world.edge.get("/unload").status_code == 200
        assert summary.result() == {"claimed": 1, "queued": 1, "stopped": "out of time"}
    world.engine.call("wfg_cancel_run", p_run_id=run)


def test_a_function_that_is_killed_leaves_its_job_to_the_lease(world, tmp_path):
    run = start(world.engine, {"a": job("wait", retries=1)})
    with ThreadPoolExecutor() as pool, functions(tmp_path, "worker", url=world.url) as edge:
        cut = pool.submit(edge.post, "/worker", headers={"apikey": SERVICE_KEY})
        running(world, run)
        edge.kill()
        assert cut.exception() is not None

    assert world.engine.jobs(run) == {"a": "running"}
    world.engine.advance(31)
    assert world.engine.call("wfg_reap") == {"retried": 1, "failed": 0, "cancelled": 0}
    world.engine.set_now(None)
    assert world.engine.jobs(run) == {"a": "queued"}
    world.engine.call("wfg_cancel_run", p_run_id=run)


@pytest.mark.nightly
def test_settings_that_cannot_be_meant(world, tmp_path):
    for name, value in (("WFG_JOB_SECS", "200"), ("WFG_SLOTS", "0"), ("WFG_WALL_CLOCK_SECS", "long")):
        with functions(tmp_path / name, "worker", url=world.url, **{name: value}) as edge:
            refused = edge.post("/worker", headers={"apikey": SERVICE_KEY})
            assert (refused.status_code, refused.json()["message"]) == (500, "not_configured")
            assert name in refused.json()["details"]


@pytest.mark.nightly
def test_an_engine_that_is_away_is_told(tmp_path):
    with functions(tmp_path, "worker", url="http://127.0.0.1:1") as edge:
        refused = edge.post("/worker", headers={"apikey": SERVICE_KEY})
        assert (refused.status_code, refused.json()["message"]) == (503, "unavailable")
