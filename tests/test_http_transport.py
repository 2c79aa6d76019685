"""The worker's way over HTTP, against the real server: also one that is killed, or that never answers.

What workers do either way is tested by both in tests/test_worker.py.
"""

import asyncio
import signal
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from wfg.errors import LeaseNotHeld, Rejected, Unavailable
from wfg.http_transport import HttpTransport
from wfg.transport import LogChunk
from wfg.worker import Worker

from tests.arrange import only
from tests.servers import free_port, port_of, server_process
from tests.serving import serving
from tests.test_client_commands import answering
from tests.workers import TIMEOUT, WorkerProcess, job_of, log_of, until, until_sync


@asynccontextmanager
async def working(url: str, worker: Worker, **settings):
    async with HttpTransport(url, **settings) as transport:
        task = asyncio.create_task(worker.run(transport))
        try:
            yield transport
        finally:
            worker.stop()
            await asyncio.wait_for(task, TIMEOUT)


def claim_over(transport: HttpTransport, **changes):
    given = {"worker_id": "w", "labels": [], "limit": 1, "ttl_secs": 30, "stop": asyncio.Event(), **changes}
    return transport.claim(**given)


# --- a server that goes away ---


@pytest.mark.nightly
def test_a_job_outlives_a_server_that_is_killed_and_restarted(
    engine, database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO", "wfg.worker")

    def script(gate: str, more: str) -> str:
        return f"echo one; while [ ! -e {tmp_path / gate} ]; do sleep 0.05; done; {more}"

    engine.put(jobs={"a": {"run": script("first", "true")}, "b": {"run": script("second", "echo two")}})
    run = engine.start()

    async def body() -> None:
        with server_process(database, tmp_path) as server, ExitStack() as later:
            port = port_of(server)
            async with working(server.url(), Worker(slots=3, worker_id="w", ttl_secs=120, poll_secs=0.2)):
                await until(lambda: log_of(engine, run, "a") and log_of(engine, run, "b"))
                server.kill()
                (tmp_path / "first").touch()
                await until(lambda: "a: not reported yet: server_unreachable" in caplog.text)
                await until(lambda: "no claims: server_unreachable" in caplog.text)
                engine.call("wfg_deregister_worker", p_worker_id="w")
                (tmp_path / "second").touch()
                again = server_process(database, tmp_path, port)
                await asyncio.to_thread(later.enter_context, again)
                await until(lambda: engine.state(run) == "success")
                await until(lambda: "claiming again" in caplog.text)
                assert [each["worker_id"] for each in engine.call("wfg_list_workers")] == ["w"]

    asyncio.run(body())
    assert log_of(engine, run, "b") == "one\ntwo\n"
    assert [job_of(engine, run, name)["attempt"] for name in "ab"] == [0, 0]
    assert caplog.text.count("worker w, labels none") == 2


def test_a_worker_waits_for_a_server_that_is_not_there_yet(engine, database: str, tmp_path: Path):
    engine.put(jobs={"a": {"run": 'echo "${WFG_TOKEN-none} ${SERVER_URL+url}"'}})
    run = engine.start()
    port = free_port()
    env = {"SERVER_URL": f"http://127.0.0.1:{port}", "WFG_TOKEN": "s3cret"}
    with WorkerProcess(database, tmp_path / "log", env=env) as worker:
        until_sync(lambda: "no claims: server_unreachable" in worker.log(), 60)
        assert f"jobs come from {env['SERVER_URL']}" in worker.log()
        with server_process(database, tmp_path, port, WFG_API_TOKEN="s3cret"):
            until_sync(lambda: engine.state(run) == "success")
            worker.process.send_signal(signal.SIGTERM)
            assert worker.wait() == 0
        assert "s3cret" not in worker.log()
    assert log_of(engine, run) == "none url\n"
    assert engine.call("wfg_list_workers") == []


# --- a server that makes us wait ---


def test_stopping_does_not_wait_for_a_server_that_does(engine):
    """It hangs up, and the server sees that."""
    hung_up = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while await reader.read(1000):
            pass
        hung_up.set()
        writer.close()

    async def body() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with HttpTransport(url) as transport:
            stop = asyncio.Event()
            claiming = asyncio.create_task(claim_over(transport, stop=stop))
            await asyncio.wait([claiming], timeout=0.3)
            assert not claiming.done()
            stop.set()
            assert await asyncio.wait_for(claiming, 5) == []
            await asyncio.wait_for(hung_up.wait(), 5)
        server.close()

    asyncio.run(body())


def test_a_job_on_its_way_to_a_worker_that_stops_is_given_back(engine, database: str):
    """It does not hang up on an answer."""
    engine.put(jobs={"a": {"run": "false"}})
    worker = Worker(worker_id="w", ttl_secs=3600)

    async def on_its_way(response: httpx.Response) -> None:
        if "claim" in response.url.path:
            worker.stop()
            await asyncio.sleep(0.05)

    async def body(url: str) -> None:
        async with HttpTransport(url) as transport:
            transport._http.event_hooks = {"response": [on_its_way]}
            working = asyncio.create_task(worker.run(transport))
            await until(lambda: engine.call("wfg_list_workers"))
            engine.start()
            await asyncio.wait_for(working, TIMEOUT)

    with serving(database) as client:
        asyncio.run(body(str(client.base_url)))
    assert engine.claim()["job"]["attempt"] == 0
    assert engine.call("wfg_list_workers")[0]["worker_id"] != "w"


def test_an_idle_worker_leaves_the_waiting_to_the_server(engine, database: str):
    """Its own pauses are for servers that answer at once."""
    asked: list[str] = []

    async def body(url: str) -> None:
        async with working(url, Worker(poll_secs=300), wait_secs=1) as transport:
            transport._http.event_hooks = {"request": [note]}
            await until(lambda: len(asked) >= 2)
            engine.put(jobs=only("a"))
            run = engine.start()
            await until(lambda: engine.state(run) == "success")

    async def note(request: httpx.Request) -> None:
        if "claim" in request.url.path:
            asked.append(request.url.path)

    with serving(database) as client:
        asyncio.run(body(str(client.base_url)))
    assert len(asked) < 20


@pytest.mark.nightly
def test_jobs_get_all_their_time_after_a_long_wait(engine, database: str):
    """The lease and the timeout count from the grant, not from the question."""

    async def body(url: str) -> None:
        async with working(url, Worker(ttl_secs=2)):
            await asyncio.sleep(2.5)
            engine.put(jobs={"a": {"run": "sleep 1", "timeout": 2}})
            run = engine.start()
            await until(lambda: engine.state(run) not in ("queued", "running"))
            assert engine.state(run) == "success"

    with serving(database) as client:
        asyncio.run(body(str(client.base_url)))


# --- what answers mean ---


def test_answers_of_the_engine_are_typed(engine, database: str):
    async def body(url: str) -> None:
        async with HttpTransport(url) as transport:
            with pytest.raises(LeaseNotHeld):
                await transport.renew("no/such%lease")
            with pytest.raises(LeaseNotHeld):
                await transport.release("no-lease")
            with pytest.raises(Rejected, match="p_ttl_secs"):
                await claim_over(transport, ttl_secs=90_000)

    with serving(database) as client:
        asyncio.run(body(str(client.base_url)))


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_trouble_on_the_way_may_pass(status: int):
    async def body(url: str) -> None:
        async with HttpTransport(url) as transport:
            with pytest.raises(Unavailable):
                await transport.deregister("w")

    with answering(status, b"<html>", method="DELETE") as url:
        asyncio.run(body(url))


def test_a_server_may_ask_for_patience():
    async def body(url: str) -> float:
        async with HttpTransport(url) as transport:
            with pytest.raises(Unavailable) as caught:
                await transport.deregister("w")
            return caught.value.retry_after_secs

    for said, meant in {"3": 3, "86400": 10, "Wed, 21 Oct 2026 07:28:00 GMT": 0, "-1": 0}.items():
        with answering(503, b"", method="DELETE", headers={"retry-after": said}) as url:
            assert asyncio.run(body(url)) == meant


def test_logs_are_sent_in_bodies_that_the_server_takes(engine, database: str):
    engine.put(jobs=only("a"))
    run = engine.start()
    line = "é" + "x" * 16_000 + "\n"

    async def body(url: str) -> None:
        async with HttpTransport(url) as transport:
            [claim] = await claim_over(transport)
            job = claim.job
            chunks = [
                LogChunk(
                    workflow_id=job.workflow_id,
                    job_id=job.job_id,
                    sequence=n,
                    data=line,
                    timestamp_ms=1,
                    stream="stdout",
                )
                for n in range(300)
            ]
            assert (await transport.append_logs(claim.lease.lease_id, chunks)).truncated is False

    with serving(database) as client:
        asyncio.run(body(str(client.base_url)))
    assert log_of(engine, run) == line * 300


def test_a_token_is_sent(engine):
    seen: list[dict[str, str]] = []

    async def body(url: str) -> None:
        async with HttpTransport(url, "s3cret") as transport:
            await transport.deregister("w")

    with answering(200, b"{}", seen, method="DELETE") as url:
        asyncio.run(body(url))
    assert seen[0]["authorization"] == "Bearer s3cret"
