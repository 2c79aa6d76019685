"""The worker, on the real engine and with real processes: the reference's defects D31 to D40, one by one."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pydantic
import pytest
from wfg.errors import Rejected
from wfg.worker import Job, PermanentError, Worker

from tests.serving import serving
from tests.test_process import alive
from tests.workers import (
    FailingTransport,
    WorkerProcess,
    attempts_of,
    job_of,
    log_of,
    run_to_end,
    transport_to,
    until,
    until_sync,
    working,
)


@pytest.fixture
def both_ways(
    request: pytest.FixtureRequest, database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The test runs twice: its workers go to the database, and to a server."""
    if request.param == "sql":
        yield
        return
    with serving(database) as client:
        monkeypatch.setattr("tests.workers.door", str(client.base_url))
        yield


def over(*ways: object) -> Callable[..., Callable[..., None]]:
    """Run a test once for each way."""
    return lambda test: pytest.mark.usefixtures("both_ways")(
        pytest.mark.parametrize("both_ways", ways, indirect=True)(test)
    )


over_both_ways = over("sql", "http")
over_http_at_night = over("sql", pytest.param("http", marks=pytest.mark.nightly))


def put_and_start(engine, script: str, **job: object) -> str:
    """Start a run of one job `a`."""
    engine.put(jobs={"a": {"run": script, **job}})
    return engine.start()


def gate(path: Path) -> str:
    """Shell text that waits until a file is there."""
    return f"while [ ! -e {path} ]; do sleep 0.05; done"


# --- D31: drain ---


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_d31_a_signal_drains(engine, database: str, tmp_path: Path, number: signal.Signals):
    engine.put(
        jobs={"a": {"run": f"echo started; {gate(tmp_path / 'go')}"}, "b": {"needs": "a", "run": "true"}}
    )
    run = engine.start()
    with WorkerProcess(database, tmp_path / "log") as worker:
        until_sync(lambda: log_of(engine, run) == "started\n")
        worker.process.send_signal(number)
        until_sync(lambda: "draining: 1 running" in worker.log())
        assert worker.process.poll() is None
        (tmp_path / "go").touch()
        assert worker.wait() == 0
    assert engine.jobs(run) == {"a": "success", "b": "queued"}
    assert engine.call("wfg_list_workers") == []


@over_both_ways
def test_d31_an_idle_worker_ends_at_once(database: str, tmp_path: Path):
    with WorkerProcess(database, tmp_path / "log") as worker:
        until_sync(lambda: "labels none" in worker.log())
        worker.process.send_signal(signal.SIGTERM)
        assert worker.wait() == 0


def test_d31_a_second_signal_kills_and_gives_back(engine, database: str, tmp_path: Path):
    run = put_and_start(engine, "trap '' TERM; sleep 300 & echo $!; wait; wait; sleep 300")
    with WorkerProcess(database, tmp_path / "log", "--ttl", "600") as worker:
        pid = int(until_sync(lambda: log_of(engine, run)))
        worker.process.send_signal(signal.SIGTERM)
        until_sync(lambda: "draining: 1 running" in worker.log())
        worker.process.send_signal(signal.SIGTERM)
        assert worker.wait() == 128 + signal.SIGTERM
        assert not alive(pid)
    assert engine.jobs(run) == {"a": "queued"}
    claim = engine.claim()
    assert claim is not None
    assert claim["job"]["attempt"] == 0  # given back: no attempt was used up


def test_d31_what_runs_past_the_drain_time_is_given_back(engine, database: str):
    run = put_and_start(engine, "echo $$; sleep 300")

    async def body() -> int:
        worker = Worker(drain_secs=0.1, grace_secs=5)
        async with working(database, worker):
            return int(await until(lambda: log_of(engine, run)))

    assert not alive(asyncio.run(body()))
    assert engine.jobs(run) == {"a": "queued"}


@over_both_ways
def test_d31_what_was_claimed_but_not_started_is_given_back(engine, database: str, tmp_path: Path):
    run = put_and_start(engine, f"touch {tmp_path / 'ran'}")

    async def body() -> FailingTransport:
        worker = Worker()
        async with transport_to(database) as transport:
            transport.after_claim = lambda claims: worker.stop()
            await worker.run(transport)
        return transport

    transport = asyncio.run(body())
    assert transport.count("claim") == 1
    assert transport.count("release") == 1
    assert engine.jobs(run) == {"a": "queued"}
    assert not (tmp_path / "ran").exists()


# --- D32: idle cost ---


def test_d32_a_silent_job_costs_nothing(engine):
    run = put_and_start(engine, "sleep 2")
    before = time.process_time()
    transport = run_to_end(engine, run, Worker(poll_secs=60))
    # The test's own polling of the engine is in it too.
    assert time.process_time() - before < 1.0
    assert transport.count("append_logs") == 0
    assert transport.count("claim") < 12


def test_d32_an_idle_worker_hears_of_work_without_polling(engine, database: str):
    async def body() -> float:
        async with working(database, Worker(poll_secs=300)) as transport:
            await until(lambda: transport.count("claim") >= 5)  # the hint at connect, and what follows it
            began_at = time.monotonic()
            run = put_and_start(engine, "true")
            await until(lambda: engine.state(run) == "success")
            return time.monotonic() - began_at

    assert asyncio.run(body()) < 10


def test_work_is_found_without_any_hint(engine, database: str):
    async def body() -> None:
        async with working(database, Worker(poll_secs=0.2)) as transport:
            await until(lambda: transport.count("claim"))
            assert transport._listener is not None
            transport._listener.cancel()
            run = put_and_start(engine, "true")
            await until(lambda: engine.state(run) == "success")

    asyncio.run(body())


# --- D33, D34: output ---


def test_d33_stderr_after_the_end_of_stdout_is_logged(engine):
    run = put_and_start(engine, "echo out; exec 1>&-; sleep 0.2; echo last words >&2")
    run_to_end(engine, run, Worker())
    assert log_of(engine, run, stream="stderr") == "last words\n"


def test_d34_output_that_is_not_utf8_is_logged_as_well_as_possible(engine):
    run = put_and_start(engine, r"printf 'a\377b\000c\n'; echo after; echo '::set-output x=1'")
    run_to_end(engine, run, Worker())
    assert engine.state(run) == "success"
    assert log_of(engine, run) == "a\ufffdb\ufffdc\nafter\n::set-output x=1\n"


@over_both_ways
def test_chunks_are_numbered_in_the_order_of_their_lines(engine):
    run = put_and_start(engine, "seq 3000")
    transport = run_to_end(engine, run, Worker())
    chunks = engine.call("wfg_list_logs", p_workflow_id=run, p_job_id="a")
    assert [chunk["sequence"] for chunk in chunks] == list(range(len(chunks)))
    assert log_of(engine, run) == "".join(f"{n + 1}\n" for n in range(3000))
    assert [chunk["data"] for chunk in chunks[:100]] == [f"{n + 1}\n" for n in range(100)]
    assert max(len(detail) for name, detail in transport.calls if name == "append_logs") <= 1000


# --- D35: outputs ---


def test_d35_outputs_are_parsed_and_handed_on(engine):
    engine.put(
        jobs={
            "make-it": {
                "run": 'echo "::set-output v=1"; echo "::set-output v=two words"; echo "::set-output q=it\'s"'
            },
            "use": {"needs": "make-it", "run": 'echo "$OUTPUT_MAKE_IT_V|$OUTPUT_MAKE_IT_Q"'},
        }
    )
    run = engine.start()
    run_to_end(engine, run, Worker())
    assert engine.call("wfg_get_outputs", p_run_id=run, p_job_id="make-it") == {"v": "two words", "q": "it's"}
    assert log_of(engine, run, "use") == "two words|it's\n"
    assert "::set-output v=1\n" in log_of(engine, run, "make-it")


@over_both_ways
def test_d35_outputs_that_the_engine_refuses_fail_the_job(engine):
    lines = "; ".join(f"echo ::set-output n{n}=$x" for n in range(3))
    run = put_and_start(engine, f"x=$(head -c 500000 /dev/zero | tr '\\0' x); {lines}")
    run_to_end(engine, run, Worker())
    assert engine.state(run) == "failure"
    assert "outputs were refused" in job_of(engine, run)["error"]


def test_a_command_knows_its_job(engine):
    run = put_and_start(
        engine,
        'echo "$WFG_RUN_ID $WFG_WORKFLOW_ID $WFG_JOB_ID $WFG_ATTEMPT $WFG_WORKER_ID $A"',
        env={"A": "b"},
    )
    run_to_end(engine, run, Worker(worker_id="w7"))
    assert log_of(engine, run) == f"{run} {run} a 0 w7 b\n"


# --- D36, D37: stopping ---


@over_both_ways
def test_d36_cancelling_kills_grandchildren_and_is_acknowledged(engine, database: str):
    run = put_and_start(engine, "sh -c 'sleep 300 & echo $!; wait' & wait", retries=3)

    async def body() -> int:
        async with working(database, Worker(ttl_secs=1)):
            pid = int(await until(lambda: log_of(engine, run)))
            engine.call("wfg_cancel_run", p_run_id=run)
            await until(lambda: not alive(pid))
            return pid

    asyncio.run(body())
    assert engine.jobs(run) == {"a": "cancelled"}
    assert engine.query("select true as found from wfg.queue") == []  # the lease was acknowledged
    attempts = attempts_of(engine, run)
    assert [(a["outcome"], a["error"]) for a in attempts] == [("cancelled", "cancelled")]


@over_http_at_night
def test_d37_a_lost_lease_stops_the_command(engine, connect, database: str):
    run = put_and_start(engine, "echo $$; sleep 300", retries=1)
    other = connect()

    async def body() -> None:
        async with working(database, Worker(ttl_secs=2)) as transport:
            pid = int(await until(lambda: log_of(engine, run)))
            transport.faults["claim"] = 1e9  # it must not get the job again
            other.set_now(other.now() + timedelta(seconds=10))
            other.call("wfg_reap")
            await until(lambda: not alive(pid))
            await until(lambda: not transport.count("report"))

    asyncio.run(body())
    assert engine.jobs(run) == {"a": "queued"}
    claim = other.claim()
    assert claim is not None
    assert claim["job"]["attempt"] == 1


@over_http_at_night
def test_d37_a_worker_that_cannot_renew_stops_before_others_start(engine, database: str):
    run = put_and_start(engine, "echo $$; sleep 300", retries=1)

    async def body() -> float:
        async with working(database, Worker(ttl_secs=2)) as transport:
            pid = int(await until(lambda: log_of(engine, run)))
            cut_at = time.monotonic()
            transport.faults = dict.fromkeys(("renew", "report", "claim", "append_logs"), 1e9)
            await until(lambda: not alive(pid))
            return time.monotonic() - cut_at

    assert asyncio.run(body()) < 8  # 2 s of the lease, and some for a busy machine
    assert job_of(engine, run)["attempt"] in (0, 1)


@over_http_at_night
def test_a_blip_shorter_than_the_lease_is_survived(engine, database: str, tmp_path: Path):
    run = put_and_start(engine, f"echo started; {gate(tmp_path / 'go')}")

    async def body() -> None:
        async with working(database, Worker(ttl_secs=6)) as transport:
            await until(lambda: log_of(engine, run))
            transport.faults["renew"] = 3
            await until(lambda: not transport.faults["renew"])
            renewed = transport.count("renew")
            await until(lambda: transport.count("renew") > renewed)
            (tmp_path / "go").touch()
            await until(lambda: engine.state(run) == "success")

    asyncio.run(body())


@over_http_at_night
def test_a_lease_outlives_its_ttl_by_heartbeats(engine, database: str):
    run = put_and_start(engine, "sleep 2.5")
    transport = run_to_end(engine, run, Worker(ttl_secs=1))
    assert engine.state(run) == "success"
    assert transport.count("renew") >= 6


@over_http_at_night
def test_a_timeout_kills_and_uses_up_the_attempt(engine):
    run = put_and_start(engine, "echo $$; sleep 300", timeout=1, retries=1)
    run_to_end(engine, run, Worker(slots=2))
    attempts = attempts_of(engine, run)
    assert engine.state(run) == "failure"
    assert [a["attempt"] for a in attempts][:1] == [0]
    assert "timed" in job_of(engine, run)["error"]  # the worker's words or the engine's, whoever was first
    assert not [pid for pid in log_of(engine, run).split() if alive(int(pid))]


# --- D38: delivery ---


@over_http_at_night
def test_d38_a_report_is_repeated_until_it_arrives(engine):
    run = put_and_start(engine, "echo '::set-output x=1'")

    def prepare(transport: FailingTransport) -> None:
        transport.faults["report"] = 3

    transport = run_to_end(engine, run, Worker(), prepare)
    assert transport.count("report") == 4
    assert engine.call("wfg_get_outputs", p_run_id=run, p_job_id="a") == {"x": "1"}


@over_http_at_night
def test_d38_a_report_whose_answer_was_lost_counts_as_delivered(engine, caplog: pytest.LogCaptureFixture):
    run = put_and_start(engine, "exit 3", retries=1)
    caplog.set_level("INFO", "wfg.worker")

    def prepare(transport: FailingTransport) -> None:
        transport.lost["report"] = 2

    run_to_end(engine, run, Worker(), prepare)
    job = job_of(engine, run)
    assert job["attempt"] == 1
    assert "refused" not in caplog.text


@over_http_at_night
def test_d38_logs_arrive_once_and_in_order_through_a_blip(engine):
    run = put_and_start(engine, "for n in 1 2 3 4 5 6; do echo $n; sleep 0.1; done")

    def prepare(transport: FailingTransport) -> None:
        transport.faults["append_logs"] = 1
        transport.lost["append_logs"] = 2

    run_to_end(engine, run, Worker(), prepare)
    assert log_of(engine, run) == "1\n2\n3\n4\n5\n6\n"


def test_d38_big_batches_are_split(engine):
    run = put_and_start(engine, "yes 'é\\0123456789 a line of some length \"quoted\"' | head -n 60000")
    transport = run_to_end(engine, run, Worker())
    batches = [detail for name, detail in transport.calls if name == "append_logs"]
    sizes = [sum(len(chunk.model_dump_json().encode()) for chunk in batch) for batch in batches]
    assert max(sizes) < 1024 * 1024
    assert log_of(engine, run).count("\n") == 60_000


def test_d38_a_log_that_cannot_be_sent_neither_fails_nor_blocks_the_job(engine):
    run = put_and_start(engine, "seq 200000; echo '::set-output x=1'")

    def prepare(transport: FailingTransport) -> None:
        transport.faults["append_logs"] = 1e9

    run_to_end(engine, run, Worker(ttl_secs=10), prepare)
    assert engine.state(run) == "success"
    assert engine.call("wfg_get_outputs", p_run_id=run, p_job_id="a") == {"x": "1"}


@pytest.mark.nightly
def test_d38_lines_that_were_dropped_are_admitted(engine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wfg.job_log.PATIENCE_SECS", 0.1)
    monkeypatch.setattr("wfg.job_log.CROWDED_BYTES", 50_000)
    monkeypatch.setattr("wfg.job_log.FULL_BYTES", 100_000)
    run = put_and_start(engine, "seq 200000")

    def prepare(transport: FailingTransport) -> None:
        transport.faults["append_logs"] = 4

    run_to_end(engine, run, Worker(), prepare)
    log = log_of(engine, run)
    assert log.startswith("1\n2\n3\n")
    assert re.search(r"^\[wfg\] \d+ lines are missing here: the log could not be sent in time$", log, re.M)


@pytest.mark.nightly
def test_a_full_log_ends_sending(engine):
    run = put_and_start(
        engine, "yes 0123456789012345678901234567890123456789 | head -c 40000000; echo done >&2"
    )
    transport = run_to_end(engine, run, Worker(slots=1))
    assert engine.state(run) == "success"
    answered = [detail for name, detail in transport.calls if name == "append_logs"]
    assert sum(len(chunk.data) for batch in answered for chunk in batch) < 25_000_000


# --- D39: failures ---


@pytest.mark.parametrize(
    ("script", "attempts", "text"),
    [
        ("echo why >&2; exit 3", 3, "exit code 3: why"),
        ("kill -KILL $$", 3, "killed by signal KILL"),
        ("no-such-command-anywhere", 1, "exit code 127: "),
        ("touch x; exec ./x", 1, "exit code 126: "),
    ],
)
def test_d39_failures_are_retried_unless_that_is_useless(
    engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, attempts: int, text: str
):
    monkeypatch.chdir(tmp_path)
    run = put_and_start(engine, script, retries=2)
    run_to_end(engine, run, Worker())
    job = job_of(engine, run)
    assert job["attempt"] + 1 == attempts
    assert job["error"].startswith(text)


def test_d39_permanent_exit_codes_can_be_set(engine):
    run = put_and_start(engine, "exit 3", retries=2)
    run_to_end(engine, run, Worker(permanent_exit_codes=[3]))
    assert job_of(engine, run)["attempt"] == 0


def test_d39_the_error_keeps_the_tail(engine):
    run = put_and_start(engine, "seq 10000; echo 'the cause' >&2; exit 1")
    run_to_end(engine, run, Worker())
    error = job_of(engine, run)["error"]
    assert error.startswith("exit code 1: ")
    assert error.endswith("the cause")
    assert 4000 < len(error) < 4200


# --- D40: registration, slots, settings ---


def test_d40_one_claim_fills_all_free_slots(engine):
    engine.put(jobs={f"j{n}": {"run": "sleep 0.3"} for n in range(4)})
    run = engine.start()
    transport = run_to_end(engine, run, Worker(slots=4))
    assert next(detail for name, detail in transport.calls if name == "claim") == 4
    jobs = engine.call("wfg_get_run", p_run_id=run)["jobs"]
    assert max(j["started_at_ms"] for j in jobs) < min(j["finished_at_ms"] for j in jobs)


def test_d40_never_more_jobs_than_slots(engine, tmp_path: Path):
    script = f"echo x >> {tmp_path}/in; sleep 0.1; echo x >> {tmp_path}/out"
    engine.put(jobs={f"j{n}": {"run": script} for n in range(8)})
    run = engine.start()
    transport = run_to_end(engine, run, Worker(slots=2))
    assert all(detail <= 2 for name, detail in transport.calls if name == "claim")
    assert (tmp_path / "out").read_text().count("x") == 8


def test_d40_jobs_that_end_together_are_reported_together(engine):
    engine.put(jobs={f"j{n}": {"run": "true"} for n in range(8)})
    run = engine.start()

    def prepare(transport: FailingTransport) -> None:
        transport.faults["report"] = 1

    transport = run_to_end(engine, run, Worker(slots=8), prepare)
    reported = [len(detail) for name, detail in transport.calls if name == "report"]
    assert sum(reported) >= 8
    assert engine.state(run) == "success"


def test_d40_it_registers_again_after_the_engine_was_away(engine, database: str):
    async def body() -> None:
        async with working(database, Worker(worker_id="w", poll_secs=0.1)) as transport:
            await until(lambda: transport.count("claim") > 2)
            engine.call("wfg_deregister_worker", p_worker_id="w")
            transport.faults["claim"] = 1
            await until(lambda: transport.count("register") == 2)
            await until(lambda: [w["worker_id"] for w in engine.call("wfg_list_workers")] == ["w"])

    asyncio.run(body())


@over_http_at_night
def test_d40_it_survives_the_loss_of_its_connections(engine, connect, database: str, tmp_path: Path):
    run = put_and_start(engine, f"echo started; {gate(tmp_path / 'go')}; echo ended")

    async def body() -> None:
        async with working(database, Worker(ttl_secs=10, poll_secs=0.2)):
            await until(lambda: log_of(engine, run))
            connect().query(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'wfg' "
                "and datname = current_database()"
            )
            (tmp_path / "go").touch()
            await until(lambda: engine.state(run) == "success")
            again = put_and_start(engine, "true")
            await until(lambda: engine.state(again) == "success")

    asyncio.run(body())
    assert log_of(engine, run) == "started\nended\n"


@over_http_at_night
def test_d40_all_is_settable_from_outside(engine, database: str, tmp_path: Path):
    engine.put(
        jobs={
            "a": {"run": 'echo "$WFG_WORKER_ID ${DATABASE_URL-unset}"; exit 9', "retries": 1, "labels": ["x"]}
        }
    )
    run = engine.start()
    env = {
        "WORKER_LABELS": "x, y",
        "WORKER_SLOTS": "3",
        "WORKER_TTL_SECS": "77",
        "WORKER_PERMANENT_EXIT_CODES": "9",
    }
    with WorkerProcess(database, tmp_path / "log", "--worker-id", "w9", "--poll", "0.1", env=env) as worker:
        until_sync(lambda: engine.state(run) == "failure")
        assert "worker w9, labels x, y" in worker.log()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.wait() == 0
    assert log_of(engine, run) == "w9 unset\n"


@over_http_at_night
def test_a_worker_that_the_engine_refuses_says_so(database: str):
    async def body() -> None:
        async with transport_to(database) as transport:
            await asyncio.wait_for(Worker(ttl_secs=90_000).run(transport), 20)

    with pytest.raises(Rejected, match="ttl"):
        asyncio.run(body())


# --- handlers ---


class Mail(pydantic.BaseModel):
    to: str
    copies: int


@dataclass
class Plain:
    to: str
    copies: int


INPUTS = {"to": {"type": "string", "required": True}, "copies": {"type": "number", "default": 1}}


def start_handled(engine, inputs: dict[str, object] | None = None, **job: object) -> str:
    engine.put(inputs=INPUTS, jobs={"a": {"run": "exit 99", "labels": ["mail"], **job}})
    return engine.start(inputs=inputs or {"to": "ada", "copies": 2})


def test_a_handler_takes_the_jobs_of_its_label(engine):
    run = start_handled(engine)
    worker = Worker()
    seen: list[Job] = []

    @worker.handler("mail")
    def send(job: Job) -> dict[str, object]:
        seen.append(job)
        job.log(f"to {job.inputs['to']}\nin two lines")
        job.outputs["sent"] = "yes"
        return {"copies": job.inputs["copies"], "list": [1]}

    run_to_end(engine, run, worker)
    assert worker.all_labels == ["mail"]
    assert log_of(engine, run) == "to ada\nin two lines\n"
    outputs = engine.call("wfg_get_outputs", p_run_id=run, p_job_id="a")
    assert outputs == {"sent": "yes", "copies": "2", "list": "[1]"}
    assert (seen[0].job_id, seen[0].run_id, seen[0].attempt, seen[0].labels) == ("a", run, 0, ["mail"])


@over_both_ways
@pytest.mark.parametrize("is_async", [True, False])
def test_a_handler_that_completes_its_job_itself_keeps_its_log(
    engine, connect, monkeypatch: pytest.MonkeyPatch, is_async: bool
):
    monkeypatch.setattr("wfg.job_log.FLUSH_SECS", 600)
    run = start_handled(engine, lost_retries=1)
    worker = Worker()
    own = connect()

    def complete(job: Job) -> None:
        job.log("done")
        job.flush_log()
        own.call("wfg_complete_job", p_lease_id=job.lease_id, p_outputs={"sent": "yes"})

    async def complete_async(job: Job) -> None:
        with pytest.raises(RuntimeError, match="to_thread"):
            job.flush_log()
        await asyncio.to_thread(complete, job)

    worker.handler("mail")(complete_async if is_async else complete)
    run_to_end(engine, run, worker)
    assert log_of(engine, run) == "done\n"
    assert (job_of(engine, run)["state"], attempts_of(engine, run)) == ("success", [])
    assert engine.call("wfg_get_outputs", p_run_id=run, p_job_id="a") == {"sent": "yes"}


@pytest.mark.parametrize("shape", [Mail, Plain])
def test_inputs_are_validated_into_the_annotated_type(engine, shape: type):
    run = start_handled(engine)
    worker = Worker()
    seen: list[object] = []

    async def send(job: Job) -> None:
        seen.append(job.inputs)

    send.__annotations__["job"] = Job[shape]
    worker.handler("mail")(send)
    run_to_end(engine, run, worker)
    assert seen == [shape(to="ada", copies=2)]


def test_inputs_that_do_not_fit_fail_for_good(engine):
    engine.put(jobs={"a": {"run": ":", "labels": ["mail"], "retries": 5}})
    run = engine.start()
    worker = Worker()

    @worker.handler("mail")
    def send(job: Job[Mail]) -> None:
        raise AssertionError("not reached")

    run_to_end(engine, run, worker)
    assert job_of(engine, run)["error"].startswith("the inputs do not fit: ")
    assert job_of(engine, run)["attempt"] == 0


@pytest.mark.parametrize(
    ("error", "attempts"), [(ValueError("no luck"), 2), (PermanentError("no use"), 1), (SystemExit(3), 2)]
)
@pytest.mark.parametrize("is_async", [True, False])
def test_an_exception_fails_the_job_with_its_traceback(
    engine, error: BaseException, attempts: int, is_async: bool
):
    run = start_handled(engine, retries=1)
    worker = Worker()

    def deep() -> None:
        raise error

    async def send_async(job: Job) -> None:
        deep()

    def send(job: Job) -> None:
        deep()

    worker.handler("mail")(send_async if is_async else send)
    run_to_end(engine, run, worker)
    job = job_of(engine, run)
    assert job["attempt"] + 1 == attempts
    assert job["error"].startswith("Traceback")
    assert "in deep" in job["error"]
    assert str(error) in job["error"].splitlines()[-1]
    assert "wfg/handlers" not in job["error"]


def test_upstream_outputs_reach_a_handler(engine):
    engine.put(
        jobs={"a": {"run": "echo '::set-output v=1'"}, "b": {"needs": "a", "run": ":", "labels": ["py"]}}
    )
    run = engine.start()
    worker = Worker(slots=2)

    @worker.handler("py")
    async def take(job: Job) -> dict[str, str]:
        return {"got": job.upstream_outputs["a"]["v"]}

    run_to_end(engine, run, worker)
    assert engine.call("wfg_get_outputs", p_run_id=run, p_job_id="b") == {"got": "1"}


def test_cancelling_reaches_handlers(engine, database: str):
    engine.put(
        jobs={"a": {"run": ":", "labels": ["sync"]}, "b": {"run": ":", "labels": ["async"]}},
    )
    run = engine.start()
    worker = Worker(slots=2, ttl_secs=1)
    told: list[str] = []

    @worker.handler("sync")
    def wait(job: Job) -> None:
        job.log("here")
        if job.cancelled.wait(30):
            told.append("sync")

    @worker.handler("async")
    async def sleep(job: Job) -> None:
        job.log("here")
        try:
            await asyncio.sleep(300)
        finally:
            told.append("async")

    async def body() -> None:
        async with working(database, worker):
            await until(lambda: log_of(engine, run, "a") and log_of(engine, run, "b"))
            engine.call("wfg_cancel_run", p_run_id=run)
            await until(lambda: len(told) == 2)

    asyncio.run(body())
    assert engine.query("select true as found from wfg.queue") == []


def test_a_handler_that_never_returns_does_not_hold_up_a_kill(engine, database: str, tmp_path: Path):
    (tmp_path / "stubborn.py").write_text(
        "import time\n"
        "from wfg.worker import Job, Worker\n"
        "worker = Worker(grace_secs=0.1)\n"
        "@worker.handler('mail')\n"
        "def send(job: Job) -> None:\n"
        "    job.log('here')\n"
        "    while True:\n"
        "        time.sleep(60)\n"
    )
    run = start_handled(engine)
    with WorkerProcess(database, tmp_path / "log", "--module", "stubborn:worker") as worker:
        until_sync(lambda: log_of(engine, run))
        worker.process.send_signal(signal.SIGTERM)
        until_sync(lambda: "draining" in worker.log())
        worker.process.send_signal(signal.SIGTERM)
        assert worker.wait() == 128 + signal.SIGTERM
    assert engine.jobs(run) == {"a": "queued"}


def test_two_handlers_of_one_label_are_refused():
    worker = Worker()
    worker.handler("x")(lambda job: None)
    with pytest.raises(ValueError, match="already"):
        worker.handler("x")(lambda job: None)


def test_a_handler_without_parameter_is_refused():
    with pytest.raises(TypeError, match="no parameter"):
        Worker().handler("x")(lambda: None)  # pyright: ignore


def test_nothing_is_left_in_the_temporary_directory(engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run = put_and_start(engine, "true")
    run_to_end(engine, run, Worker())
    assert os.listdir(tmp_path) == []


# --- a report that spoils its batch ---


@over_http_at_night
def test_d38_one_bad_report_does_not_hold_up_the_others(engine, database: str):
    lines = "; ".join(f"echo ::set-output n{n}=$x" for n in range(3))
    bad = f"x=$(head -c 500000 /dev/zero | tr '\\0' x); {lines}"
    engine.put(jobs={"bad": {"run": bad}, **{f"j{n}": {"run": "sleep 0.2"} for n in range(5)}})
    run = engine.start()
    run_to_end(engine, run, Worker(slots=6), lambda transport: transport.faults.update(report=1))
    states = engine.jobs(run)
    assert states.pop("bad") == "failure"
    assert set(states.values()) == {"success"}


def test_d38_a_report_that_the_engine_always_fails_ends_with_its_lease(engine, database: str):
    run = put_and_start(engine, "true", retries=0)

    async def body() -> None:
        async with working(database, Worker(ttl_secs=1)) as transport:
            transport.faults["report"] = 1e9
            await until(lambda: engine.state(run) == "failure")

    asyncio.run(body())
    assert "lease" in job_of(engine, run)["error"]
