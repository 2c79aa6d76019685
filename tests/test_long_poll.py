"""wait_secs of the claim routes: woken at once, one after the other, and nothing is lost on who has gone."""

import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from wfg.listen import Lines

from tests.arrange import only
from tests.serving import serving

NEVER = 600.0
DEADLINE = 10.0
BLOCKED = """
  select pid from pg_stat_activity
   where application_name = 'wfg' and wait_event_type = 'Lock' and datname = current_database()
"""


@pytest.fixture
def hints_only(monkeypatch):
    """No look without a hint: what is found in time was announced."""
    monkeypatch.setattr(Lines, "PAUSE_SECS", NEVER)


@pytest.fixture
def http(database):
    with serving(database) as client:
        yield client


@contextmanager
def waiting(
    http: httpx.Client, engine, *, count: int = 1, route: str = "claim", **body
) -> Iterator[list[Future]]:
    """So many claims that wait, each by a client of its own."""
    fields = {"worker_id": "w", "labels": [], "wait_secs": 30, **body}

    def claim() -> httpx.Response:
        with httpx.Client(base_url=http.base_url, timeout=60) as client:
            return client.post(f"/api/jobs/{route}", json=fields)

    before = claims(engine)
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(claim) for _ in range(count)]
        until(lambda: claims(engine) >= before + count)
        settled(engine)
        yield futures


def raw_claim(http: httpx.Client) -> socket.socket:
    """A claim that waits, on a socket that can be closed."""
    body = json.dumps({"worker_id": "gone", "labels": [], "wait_secs": 30}).encode()
    connection = socket.create_connection((http.base_url.host, http.base_url.port))
    head = "POST /api/jobs/claim HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def until(condition, secs: float = DEADLINE) -> None:
    deadline = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def counted(engine):
    """A sequence counts the calls of the claim functions: at once, and whatever becomes of them."""
    engine.query("create sequence public.claims")
    for name, more in (("wfg_claim_job", ""), ("wfg_claim_jobs", "p_limit integer, ")):
        passed = "p_worker_id, p_labels, " + ("p_limit, " if more else "") + "p_ttl_secs"
        engine.query(f"alter function public.{name} rename to {name}_itself")
        engine.query(
            f"""
            create function public.{name}(p_worker_id text, p_labels jsonb, {more}p_ttl_secs integer)
              returns json language plpgsql as $$
            begin
              perform nextval('public.claims');
              return public.{name}_itself({passed});
            end $$
            """
        )


def claims(engine) -> int:
    """How often a job was asked for."""
    (row,) = engine.query("select last_value::int * is_called::int as n from public.claims")
    return row["n"]


def settled(engine) -> int:
    """How often, once the looks that follow a hint are over."""
    before, since = claims(engine), time.monotonic()
    while time.monotonic() - since < 0.3:
        time.sleep(0.01)
        if claims(engine) != before:
            before, since = claims(engine), time.monotonic()
    return before


# --- what a waiter gets ---


def test_claim_is_answered_when_a_job_comes(engine, http, hints_only):
    engine.put(jobs=only("a"))
    with waiting(http, engine) as (claim,):
        run = engine.start()
        assert claim.result(DEADLINE).json()["job"]["run_id"] == run


def test_claim_many_is_answered_when_jobs_come(engine, http, hints_only):
    engine.put(jobs=only("a", "b", "c"))
    with waiting(http, engine, route="claim-many", limit=2) as (claim,):
        engine.start()
        assert len(claim.result(DEADLINE).json()) == 2


def test_job_that_is_there_is_not_waited_for(engine, http, hints_only):
    engine.put(jobs=only("a"))
    engine.start()
    began_at = time.monotonic()
    assert http.post("/api/jobs/claim", json={"worker_id": "w", "labels": [], "wait_secs": 30}).json()
    assert time.monotonic() - began_at < DEADLINE


def test_nothing_is_answered_when_the_time_is_over(http):
    fields = {"worker_id": "w", "labels": [], "wait_secs": 0.05}
    began_at = time.monotonic()
    assert http.post("/api/jobs/claim", json=fields).json() is None
    assert http.post("/api/jobs/claim-many", json={**fields, "limit": 5}).json() == []
    assert 0.1 <= time.monotonic() - began_at < DEADLINE


def test_job_is_found_without_hints(engine, database):
    """As behind a pooler: LISTEN is in vain."""
    engine.put(jobs=only("a"))
    with (
        serving(database, listen_url="host=127.0.0.1 port=1 dbname=nowhere") as http,
        waiting(http, engine) as (claim,),
    ):
        engine.start()
        assert claim.result(DEADLINE).json() is not None


def test_time_to_wait_is_from_0_to_30(http):
    for secs in (-1, 30.001, 1e9, "5", None, True, []):
        for route, more in (("claim", {}), ("claim-many", {"limit": 1})):
            body = {"worker_id": "w", "labels": [], "wait_secs": secs, **more}
            answer = http.post(f"/api/jobs/{route}", json=body)
            assert (answer.status_code, answer.json()["message"]) == (422, "invalid_request"), secs
            assert "wait_secs" in answer.json()["details"]


def test_error_while_waiting_is_answered(engine, http):
    with waiting(http, engine) as (claim,):
        engine.query("alter function public.wfg_claim_job rename to wfg_claimed_job")
        answer = claim.result(DEADLINE)
        assert (answer.status_code, set(answer.json())) == (404, {"code", "message", "details", "hint"})


@pytest.fixture
def locked(engine):
    """The claim functions meet a lock, as long as this table is there."""
    engine.query("create table public.locked ()")
    for name in ("wfg_claim_job", "wfg_claim_jobs"):
        (source,) = engine.query("select pg_get_functiondef(%s::regproc) as text", f"public.{name}")
        met = "if to_regclass('public.locked') is not null then raise sqlstate '55P03'; end if;"
        engine.query(source["text"].replace("'public.claims');", f"'public.claims'); {met}"))


@pytest.mark.parametrize(("route", "more"), [("claim", {}), ("claim-many", {"limit": 1})])
def test_claim_that_meets_a_lock_asks_again_while_there_is_time(engine, http, locked, route, more):
    engine.put(jobs=only("a"))
    with ThreadPoolExecutor(1) as pool:
        body = {"worker_id": "w", "labels": [], "wait_secs": 30, **more}
        claim = pool.submit(http.post, f"/api/jobs/{route}", json=body)
        until(lambda: claims(engine) >= 3)
        engine.query("drop table public.locked")
        engine.start()
        assert claim.result(DEADLINE).json()


def test_claim_that_met_nothing_but_locks_says_so_in_the_end(http, locked):
    answer = http.post("/api/jobs/claim", json={"worker_id": "w", "labels": [], "wait_secs": 0.1})
    assert (answer.status_code, answer.json()["code"]) == (503, "55P03")
    assert answer.headers["retry-after"] == "1"


# --- many waiters ---


def test_of_many_waiters_only_the_first_looks(engine, http, hints_only):
    engine.put(jobs=only("a"))
    with ExitStack() as stack:
        waiters = [stack.enter_context(raw_claim(http)) for _ in range(20)]
        until(lambda: claims(engine) >= 20)
        before = settled(engine)
        engine.start()
        # One finds it; the next looks in its turn, and at 10, 50 and 250 ms; and perhaps the hint comes late.
        until(lambda: claims(engine) >= before + 5)
        assert settled(engine) <= before + 9
        answered, _, _ = select.select(waiters, [], [], 0)
        assert len(answered) == 1


def test_each_that_gets_a_job_lets_the_next_look(engine, http, hints_only):
    engine.put(jobs=only(*(f"j{n}" for n in range(8))))
    with waiting(http, engine, count=8) as futures:
        engine.start()
        got = {future.result(DEADLINE).json()["job"]["job_id"] for future in futures}
    assert len(got) == 8


def test_who_wants_something_else_is_in_another_line(engine, http, hints_only):
    engine.put(jobs=only("a", labels=["x"]))
    with (
        waiting(http, engine, labels=["y"], wait_secs=1),
        waiting(http, engine, labels=["x", "x"], wait_secs=30) as (claim,),
    ):
        engine.start()
        assert claim.result(DEADLINE).json()["job"]["job_id"] == "a"


def test_waiter_whose_time_is_over_makes_room(engine, http, hints_only):
    engine.put(jobs=only("a"))
    with waiting(http, engine, wait_secs=0.5) as (short,), waiting(http, engine) as (long,):
        assert short.result(DEADLINE).json() is None
        engine.start()
        assert long.result(DEADLINE).json()["job"]["job_id"] == "a"


# --- who has gone ---


def test_client_that_has_gone_gets_nothing(engine, http, hints_only):
    engine.put(jobs=only("a"))
    with raw_claim(http):
        until(lambda: claims(engine) == 1)
    with waiting(http, engine) as (claim,):
        engine.start()
        assert claim.result(DEADLINE).json()["lease"]["worker_id"] == "w"


def leave(http: httpx.Client) -> httpx.Response:
    return http.delete("/api/workers/w")


def come_again(http: httpx.Client) -> httpx.Response:
    return http.post("/api/workers/register", json={"worker_id": "w", "labels": []})


@pytest.mark.parametrize("say", [leave, come_again])
def test_worker_that_comes_or_goes_is_answered_and_gets_nothing(engine, http, hints_only, say):
    engine.put(jobs=only("a"))
    with (
        waiting(http, engine) as (one,),
        waiting(http, engine, worker_id="other") as (other,),
        waiting(http, engine, route="claim-many", limit=3) as (many,),
    ):
        assert say(http).status_code == 200
        assert (one.result(DEADLINE).json(), many.result(DEADLINE).json()) == (None, [])
        known = [each["worker_id"] for each in engine.call("wfg_list_workers")]
        assert sorted(known) == (["other"] if say is leave else ["other", "w"])
        engine.start()
        assert other.result(DEADLINE).json()["lease"]["worker_id"] == "other"


@pytest.mark.parametrize("route", ["claim", "claim-many"])
def test_job_claimed_for_a_worker_that_leaves_meanwhile_is_free_when_it_has_left(
    engine, connect, http, monkeypatch, route
):
    monkeypatch.setattr(Lines, "PAUSE_SECS", 0.5)
    engine.put(jobs=only("a", "b"))
    other = connect()
    more = {"limit": 2} if route == "claim-many" else {}
    with waiting(http, engine, route=route, **more) as (claim,), ThreadPoolExecutor(1) as pool:
        with other.connection.transaction():
            run = other.start()
            other.query("lock table wfg.queue in access exclusive mode")
            until(lambda: engine.query(BLOCKED))
            leaving = pool.submit(leave, http)
            time.sleep(0.1)  # it may not be answered before the claim is
            assert not leaving.done()
        assert leaving.result(DEADLINE).status_code == 200
        assert engine.jobs(run) == {"a": "queued", "b": "queued"}
        assert claim.result(DEADLINE).json() in (None, [])
    assert engine.call("wfg_list_workers") == []


def test_worker_of_another_token_is_another(engine, database):
    with serving(database, api_token="s3cret") as http:
        http.headers["authorization"] = "Bearer s3cret"
        body = {"worker_id": "w", "labels": [], "wait_secs": 0.5}
        with ThreadPoolExecutor(1) as pool:
            claim = pool.submit(http.post, "/api/jobs/claim", json=body)
            until(lambda: claims(engine) >= 1)
            began_at = time.monotonic()
            wrong = {"authorization": "Bearer guessed"}
            assert http.delete("/api/workers/w", headers=wrong).status_code == 401
            assert claim.result(DEADLINE).json() is None
        assert time.monotonic() - began_at > 0.3


def test_job_claimed_for_a_client_that_goes_meanwhile_is_given_back(engine, connect, http, monkeypatch):
    monkeypatch.setattr(Lines, "PAUSE_SECS", 0.05)
    engine.query("create table public.given_back (lease_id text)")
    engine.query("alter function public.wfg_release_job rename to wfg_release_job_itself")
    engine.query(
        """
        create function public.wfg_release_job(p_lease_id text) returns json language sql as $$
          insert into public.given_back values (p_lease_id);
          select public.wfg_release_job_itself(p_lease_id);
        $$
        """
    )
    engine.put(jobs=only("a"))
    other = connect()
    with raw_claim(http) as gone:
        until(lambda: claims(engine) >= 1)
        with other.connection.transaction():
            run = other.start()
            other.query("lock table wfg.queue in access exclusive mode")
            until(lambda: engine.query(BLOCKED))
            gone.shutdown(socket.SHUT_WR)
            assert gone.recv(1) == b""  # the server has seen it, and waits for its claim
    until(lambda: engine.query("select lease_id from public.given_back"))
    assert engine.jobs(run) == {"a": "queued"}
    assert engine.claim() is not None


# --- the listener ---


def listeners(engine) -> list[int]:
    query = "select pid from pg_stat_activity where application_name = 'wfg' and query like 'listen %'"
    return [row["pid"] for row in engine.query(f"{query} and datname = current_database()")]


def test_listener_that_was_killed_comes_back_and_nothing_is_lost(engine, http, hints_only):
    engine.put(jobs=only("a", "b"))
    with waiting(http, engine, count=2) as futures:
        until(lambda: listeners(engine))
        (pid,) = listeners(engine)
        engine.query("select pg_terminate_backend(%s)", pid)
        until(lambda: not listeners(engine))
        engine.start()  # its hint is heard by nobody
        assert all(future.result(DEADLINE).json() for future in futures)
    assert listeners(engine) not in ([], [pid])


def test_process_that_waits_for_nothing_does_not_listen(engine, http):
    http.post("/api/jobs/claim", json={"worker_id": "w", "labels": []})
    assert listeners(engine) == []


def test_server_that_stops_answers_at_once(engine, database, hints_only):
    answers = []
    with serving(database) as http:
        body = {"worker_id": "w", "labels": [], "wait_secs": 30}
        url = f"{http.base_url}/api/jobs/claim"
        thread = threading.Thread(target=lambda: answers.append(httpx.post(url, json=body, timeout=60)))
        thread.start()
        until(lambda: claims(engine) >= 1)
        began_at = time.monotonic()
    thread.join()
    assert time.monotonic() - began_at < DEADLINE
    assert answers[0].json() is None
