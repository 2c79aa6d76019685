"""What one job hands on, or one run loses at once, must not stop others."""

import subprocess
from collections.abc import Callable

from tests.engine import Engine
from tests.sessions import in_background, wait_until_blocked


def test_parents_with_more_outputs_than_a_claim_carries_are_named_and_readable(engine: Engine) -> None:
    parents = [f"p{number}" for number in range(6)]
    engine.put(jobs={**{name: {"run": "true"} for name in parents}, "w": {"run": "true", "needs": parents}})
    run_id = engine.start()
    for claim in engine.claim_many(10):
        engine.complete(claim, {"big": claim["job"]["job_id"] * 490_000})

    job = engine.claim()["job"]

    assert job["job_id"] == "w"
    assert job["upstream_omitted"] == ["p4", "p5"]
    assert sorted(job["upstream_outputs"]) == ["p0", "p1", "p2", "p3"]
    left_out = engine.call("wfg_get_outputs", p_run_id=run_id, p_job_id="p5")
    assert left_out == {"big": "p5" * 490_000}


def test_a_claim_of_many_jobs_with_much_to_hand_on_gives_as_many_as_can_be_sent(engine: Engine) -> None:
    engine.put(
        inputs={"text": {"type": "string"}},
        jobs={f"j{number}": {"run": "true", "labels": [f"l{number % 2}"]} for number in range(120)},
    )
    engine.start(inputs={"text": "x" * 300_000})

    claimed = [len(engine.claim_many(1000, labels=["l0", "l1"])) for _ in range(3)]

    assert max(claimed) < 120
    assert sum(claimed) == 120


def test_exports_leave_a_command_that_a_shell_takes(engine: Engine) -> None:
    engine.put(
        inputs={"who": {"type": "string"}},
        jobs={"a": {"run": "true"}, "b": {"run": 'echo "$INPUT_WHO"', "needs": "a"}},
    )
    engine.start(inputs={"who": "Ada"})
    outputs = {f"o{number:02}": "'" * 8_000 for number in range(20)}
    engine.complete(engine.claim(), {**outputs, "n" * 200_000: "1"})

    job = engine.claim()["job"]

    assert len(job["command"].encode()) < 131_072
    assert 1 < len(job["env"]) < 20
    assert "export OUTPUT_A_O00=" in job["command"]
    assert job["upstream_outputs"]["a"]["o19"] == "'" * 8_000
    done = subprocess.run(["sh", "-c", job["command"]], capture_output=True, text=True, check=True)
    assert done.stdout == "Ada\n"


def test_one_claim_ends_all_the_leases_that_a_dead_worker_had_in_a_run(engine: Engine) -> None:
    parents = [f"p{number}" for number in range(40)]
    engine.put(
        jobs={
            **{name: {"run": "true"} for name in parents},
            "w": {"run": "true", "needs": parents},
            **{f"d{number}": {"run": "true", "needs": "w"} for number in range(100)},
        }
    )
    engine.set_now(engine.now())
    run_id = engine.start()
    assert len(engine.claim_many(40, ttl=5)) == 40
    engine.advance(10)

    assert engine.claim() is None

    states = engine.jobs(run_id)
    assert {states[name] for name in parents} == {"failure"}
    assert {state for name, state in states.items() if name not in parents} == {"skipped"}
    assert engine.state(run_id) == "failure"


def test_run_that_is_locked_does_not_hold_up_the_upkeep_of_others(
    engine: Engine, connect: Callable[[], Engine]
) -> None:
    engine.put("wide", jobs={f"p{number}": {"run": "true"} for number in range(150)})
    engine.put("other", jobs={"a": {"run": "true"}})
    engine.set_now(engine.now())
    engine.start("wide")
    leased = engine.claim_many(150, ttl=60)
    other = engine.start("other")
    engine.claim(ttl=90)

    holder = connect()
    holder.set_now(engine.now())
    with holder.connection.transaction():
        holder.complete(leased[0])
        engine.advance(100)
        assert engine.claim() is None
        assert engine.state(other) == "failure"


def test_run_of_the_door_that_waited_is_the_latest(engine: Engine, connect: Callable[[], Engine]) -> None:
    engine.put("door", jobs={"a": {"run": "true"}})
    waiting_one, observer = connect(), connect()

    with engine.connection.transaction():
        engine.call("wfg_run_workflow", p_workflow_id="door")
        with in_background(waiting_one.call, "wfg_run_workflow", p_workflow_id="door") as waiting:
            wait_until_blocked(observer, waiting_one)
            engine.call("wfg_cancel_run", p_run_id="door")
            engine.query("commit")
            engine.query("begin")
            answer = waiting.result()

    assert answer["created"]
    active = answer["run_id"]
    assert engine.call("wfg_get_run", p_run_id="door")["run_id"] == active
    assert engine.call("wfg_cancel_run", p_run_id="door") == {"run_id": active, "run": "cancelled"}
    assert engine.call("wfg_list_runs")["items"][0]["run_id"] == active


def test_run_of_the_door_is_the_latest_when_the_clock_was_set_back(engine: Engine) -> None:
    engine.put("door", jobs={"a": {"run": "true"}})
    engine.set_now(engine.now())
    engine.call("wfg_run_workflow", p_workflow_id="door")
    engine.call("wfg_cancel_run", p_run_id="door")
    engine.advance(-3600)

    latest = engine.call("wfg_run_workflow", p_workflow_id="door")["run_id"]

    assert engine.call("wfg_get_run", p_run_id="door")["run_id"] == latest
    engine.call("wfg_cancel_run", p_run_id="door")
    again = engine.call("wfg_run_workflow", p_workflow_id="door")["run_id"]
    assert engine.call("wfg_get_run", p_run_id="door")["run_id"] == again


def test_claim_does_not_wait_for_the_registration_of_its_worker(
    engine: Engine, connect: Callable[[], Engine]
) -> None:
    engine.put(jobs={"a": {"run": "true"}})
    engine.start()
    registering = connect()
    engine.query("set lock_timeout = '5s'")

    with registering.connection.transaction():
        registering.call("wfg_register_worker", p_worker_id="w1", p_labels=[])
        assert engine.claim("w1") is not None
