"""Who calls too often is told to wait, and others are not slowed by it."""

import asyncio
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from wfg import main
from wfg.client import Client
from wfg.db import Credential
from wfg.errors import Unavailable, error_of
from wfg.http_transport import HttpTransport
from wfg.lease import HeldLease, StopReason
from wfg.limits import MAX_ACCOUNTS, TIDY_SECS, Account, Limits, address_of
from wfg.reporter import Reporter
from wfg.transport import Claim, ClaimedJob, Lease, Renewal, Report, ReportAnswer, Transport
from wfg.worker import Worker

from tests import flooder
from tests.arrange import only
from tests.engine import Engine
from tests.servers import port_of, server_process
from tests.serving import serving
from tests.test_tokens import make_token
from tests.workers import job_of, until, until_sync

INVALID = error_of(401, "token_invalid")
NOT_FOUND = error_of(404, "run_not_found")
HERE = ("127.0.0.1", 1)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limits(clock: Clock, rate: int = 10, at_once: int = 0) -> Limits:
    return Limits(rate, at_once, clock=clock)


def good(limits: Limits, name: str = "good") -> Account:
    """The account of a token that the engine has accepted."""
    limits.judged(token(name), None)
    return limits.account_of(token(name), HERE)


def token(name: object) -> Credential:
    return Credential(sha256(str(name).encode()).digest())


def let_in(limits: Limits, account: Account, many: int, *, for_lease: bool = False) -> int:
    return sum(limits.wait_secs(account, for_lease=for_lease) == 0 for _ in range(many))


# --- how often ---


@pytest.mark.parametrize("rate", [1, 2, 7, 10, 999, 1000, 3333, 100_000])
def test_a_second_has_so_many_requests_and_no_more(rate: int):
    clock = Clock()
    limit = limits(clock, rate)
    account = good(limit)
    assert let_in(limit, account, rate + 5, for_lease=True) == rate
    for _ in range(3):
        clock.now += 1
        assert let_in(limit, account, rate + 5, for_lease=True) == rate


@pytest.mark.parametrize("rate", [1, 3, 1000])
@pytest.mark.parametrize("for_lease", [True, False])
def test_who_waits_as_told_is_let_in_and_who_does_not_is_not(rate: int, for_lease: bool):
    clock = Clock()
    limit = limits(clock, rate)
    account = good(limit)
    let_in(limit, account, 2 * rate, for_lease=for_lease)
    for _ in range(10):
        secs = limit.wait_secs(account, for_lease=for_lease)
        assert 0 < secs <= 1
        clock.now += secs * 0.99
        assert limit.wait_secs(account, for_lease=for_lease) > 0
        clock.now += secs * 0.01 + 1e-9
        assert limit.wait_secs(account, for_lease=for_lease) == 0


def test_a_refused_request_is_not_counted():
    clock = Clock()
    limit = limits(clock)
    account = good(limit)
    let_in(limit, account, 10_000)
    clock.now += 1
    assert let_in(limit, account, 20) == 9


def test_refusals_are_kept_back_only_from_who_asks_for_too_many_of_them():
    clock = Clock()
    limit = limits(clock)
    account = good(limit)
    assert [limit.hold_secs(account) for _ in range(10)] == [0] * 10
    held = [limit.hold_secs(account) for _ in range(15)]
    assert held == pytest.approx([0.1 * n for n in range(1, 11)] + [1.0] * 5, abs=1e-5)
    clock.now += 2
    assert limit.hold_secs(account) == 0
    assert limit.wait_secs(account, for_lease=False) == 0


def test_a_tenth_is_kept_for_calls_about_leases():
    limit = limits(Clock(), 100, 100)
    account = good(limit)
    assert let_in(limit, account, 200) == 90
    assert let_in(limit, account, 200, for_lease=True) == 10

    account.open = 90
    assert not limit.has_room(account, for_lease=False)
    assert limit.has_room(account, for_lease=True)
    account.open = 100
    assert not limit.has_room(account, for_lease=True)


def test_each_token_has_its_own_and_without_limits_there_are_none():
    limit = limits(Clock())
    assert [let_in(limit, good(limit, name), 20, for_lease=True) for name in "ab"] == [10, 10]
    bootstrap = limit.account_of(Credential(None, vouched=True), HERE)
    assert let_in(limit, bootstrap, 20, for_lease=True) == 10

    boundless = limits(Clock(), 0, 0)
    account = good(boundless)
    account.open = 10**6
    assert let_in(boundless, account, 10_000) == 10_000
    assert boundless.has_room(account, for_lease=False)


# --- strangers ---


def test_guesses_of_an_address_share_one_account():
    limit = limits(Clock())
    accounts = {id(limit.account_of(token(n), HERE)) for n in range(1000)}
    assert len(accounts) == 1
    assert limit.account_of(Credential(None), HERE) is limit.account_of(token("x"), HERE)
    assert limit.account_of(token("x"), ("127.0.0.2", 1)) is not limit.account_of(token("x"), HERE)


@pytest.mark.parametrize("refusal", [None, NOT_FOUND, error_of(403, "scope_missing"), error_of(429, "quota")])
def test_a_token_is_known_once_the_engine_has_accepted_it_until_it_refuses(refusal: Any):
    limit = limits(Clock())
    strangers = limit.account_of(token("new"), HERE)
    limit.judged(token("new"), error_of(503, "timeout"))
    assert limit.account_of(token("new"), HERE) is strangers
    limit.judged(token("new"), refusal)
    own = limit.account_of(token("new"), HERE)
    assert own is not strangers
    let_in(limit, strangers, 100)
    assert let_in(limit, own, 5) == 5

    limit.judged(token("new"), error_of(500, "bug"))
    assert limit.account_of(token("new"), HERE) is own
    limit.judged(token("new"), INVALID)
    assert limit.account_of(token("new"), HERE) is strangers


def test_requests_without_a_token_are_free_until_there_is_one():
    limit = limits(Clock())
    nobody = Credential(None)
    limit.judged(nobody, None)
    assert let_in(limit, limit.account_of(nobody, HERE), 1000) == 1000
    limit.judged(nobody, error_of(401, "token_missing"))
    assert let_in(limit, limit.account_of(nobody, HERE), 1000) == 9


def test_accounts_are_bounded_and_who_rests_is_forgotten():
    clock = Clock()
    limit = limits(clock)
    good(limit)
    for n in range(MAX_ACCOUNTS + 1000):
        let_in(limit, limit.account_of(token("x"), (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1)), 1)
    assert len(limit._strangers) == MAX_ACCOUNTS
    beyond = {id(limit.account_of(token("x"), (f"11.0.0.{n}", 1))) for n in range(200)}
    assert len(beyond) == 1

    clock.now += TIDY_SECS
    limit.account_of(token("x"), ("12.0.0.1", 1))
    assert len(limit._strangers) == 1
    assert limit.account_of(token("good"), HERE) is not limit.account_of(token("x"), HERE)

    for n in range(MAX_ACCOUNTS + 1000):
        limit.judged(token(n), None)
    assert len(limit._known) == MAX_ACCOUNTS
    busy = limit.account_of(token(1), HERE)
    busy.open = 1
    clock.now += TIDY_SECS
    late = good(limit, "late")
    assert limit.account_of(token(1), HERE) is busy
    assert limit.account_of(token("late"), HERE) is late
    assert len(limit._known) == 3  # and the bootstrap token


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", ""),
    ],
)
def test_an_address_is_what_one_party_has(host: str, address: str):
    assert address_of(host) == address


# --- the server ---


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Of the servers of a test."""
    clock = Clock()
    monkeypatch.setattr(main, "Limits", partial(Limits, clock=clock))
    return clock


@pytest.fixture
def world(database: str) -> Iterator[tuple[Engine, str, str]]:
    engine = Engine(database)
    yield engine, make_token(engine, "a"), make_token(engine, "b")
    engine.close()


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def statuses(http: httpx.Client, token: str, many: int) -> list[int]:
    return [http.get("/api/runs", headers=bearer(token)).status_code for _ in range(many)]


@contextmanager
def flooded(dsn: str, clock: Clock, *known: str, **settings: Any) -> Iterator[httpx.Client]:
    """A server that knows these tokens, the first of which has used all that it may."""
    with serving(dsn, requests_per_sec=10, **settings) as http:
        for each in known:
            assert statuses(http, each, 1) == [200]
        clock.now += 1
        assert statuses(http, known[0], 12) == [200] * 9 + [429] * 3
        yield http


DOORS = [
    ("GET", "/api/runs"),
    ("POST", "/api/jobs/claim"),
    ("GET", "/api/stream"),
    ("POST", "/rest/v1/rpc/wfg_health"),
    ("GET", "/metrics"),
    ("GET", "/api/nothing"),
]


def test_a_flood_is_answered_429_by_every_door(database: str, clock: Clock, world: Any):
    _, a, b = world
    with flooded(database, clock, a, b) as http:
        for method, path in DOORS:
            refused = http.request(method, path, headers=bearer(a), content=b"{no json")
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1"), path
            assert refused.json() == {
                "code": "PT429",
                "message": "too_many_requests",
                "details": "WFG_REQUESTS_PER_SEC: 10 a second"
                " of one token, or of one address without a good one",
                "hint": "Wait for as long as retry-after says. Claim and report many jobs by one call.",
            }
            assert refused.headers["access-control-allow-origin"] == "*"
            assert refused.headers["content-type"] == "application/json"
            assert "x-request-id" in refused.headers
            head = http.head(path, headers=bearer(a))
            assert (head.status_code, head.content) == (429, b"")
            assert http.options(path, headers=bearer(a)).status_code == 200

        assert statuses(http, b, 9) == [200] * 9
        for free in ("/health", "/ready", "/"):
            assert http.get(free, headers=bearer(a)).status_code == 200, free
        clock.now += 1
        assert statuses(http, a, 10) == [200] * 9 + [429]


def test_a_body_that_is_refused_is_not_taken(database: str, clock: Clock, world: Any):
    """The answer is there though nothing of it has come."""
    _, a, _ = world
    with flooded(database, clock, a) as http:
        url = http.base_url
        with socket.create_connection((url.host, url.port or 0), timeout=10) as client:
            head = f"POST /api/jobs/claim HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {a}\r\n"
            client.sendall(f"{head}content-length: 2000000\r\n\r\n".encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 429 ")


def test_calls_about_leases_are_let_in_when_others_are_not(
    database: str, clock: Clock, world: tuple[Engine, str, str]
):
    engine, a, _ = world
    engine.put(jobs=only("x"))
    engine.start()
    lease = engine.claim()["lease"]["lease_id"]
    with flooded(database, clock, a) as http:
        assert http.post("/api/jobs/claim", headers=bearer(a), json={}).status_code == 429
        assert http.post(f"/api/jobs/{lease}/heartbeat", headers=bearer(a)).status_code == 200
        assert http.post(f"/api/jobs/{lease}/heartbeat", headers=bearer(a)).status_code == 429
        clock.now += 0.1
        assert statuses(http, a, 1) == [429]
        renewal = http.post("/rest/v1/rpc/wfg_renew_lease", headers=bearer(a), json={"p_lease_id": lease})
        assert renewal.status_code == 200


def test_guessing_is_slowed_and_a_good_token_of_the_same_address_is_not(
    database: str, clock: Clock, world: tuple[Engine, str, str]
):
    engine, a, b = world
    with serving(database, requests_per_sec=10) as http:
        assert statuses(http, a, 1) == [200]
        clock.now += 1
        guesses = [status for n in range(20) for status in statuses(http, f"wfg_{n}", 1)]
        assert guesses == [401] * 9 + [429] * 11
        assert http.get("/api/runs").status_code == 429
        assert statuses(http, b, 1) == [429]
        assert statuses(http, a, 9) == [200] * 9

        clock.now += 1
        assert statuses(http, b, 1) == [200]
        engine.call("wfg_revoke_token", p_name="a")
        assert statuses(http, a, 12) == [401] * 9 + [429] * 3
        assert statuses(http, b, 9) == [200] * 9


def test_while_there_are_no_tokens_nobody_is_limited(database: str, engine: Engine, clock: Clock):
    with serving(database, requests_per_sec=2, open_requests=1) as http:
        assert {http.get("/api/runs").status_code for _ in range(20)} == {200}
        make_token(engine, "first")
        clock.now += 1
        assert [http.get("/api/runs").status_code for _ in range(3)] == [401, 401, 429]


def test_the_bootstrap_token_is_limited_too(database: str, clock: Clock):
    with flooded(database, clock, "s3cret", api_token="s3cret") as http:
        assert http.get("/api/runs").status_code == 401
        assert http.get("/api/runs", headers={"apikey": "s3cret"}).status_code == 429


def test_refusals_are_counted(database: str, clock: Clock, world: Any):
    _, a, b = world
    with flooded(database, clock, a, b, open_requests=1) as http:
        with http.stream("GET", "/api/stream", headers=bearer(b)) as stream:
            assert stream.status_code == 200
            assert statuses(http, b, 2) == [429] * 2
        until_sync(lambda: http.get("/metrics", headers=bearer(b)).status_code == 200 or advance(clock))
        clock.now += 1
        text = http.get("/metrics", headers=bearer(b)).text
    counted = dict(
        re.findall(r'^wfg_server_requests_refused_total{limit="(\w+)"} (\d+)$', text, re.MULTILINE)
    )
    assert counted["rate"] == "3"
    assert int(counted["open"]) >= 2


def advance(clock: Clock) -> bool:
    clock.now += 1
    return False


@pytest.mark.parametrize("kind", ["stream", "claim"])
def test_what_lasts_is_bounded_for_each_token_and_room_comes_back(
    database: str, world: tuple[Engine, str, str], kind: str
):
    """Streams, and claims that wait, which end when their client goes."""
    engine, a, b = world
    claim = {"worker_id": "w", "labels": [], "wait_secs": 30}
    with serving(database, open_requests=3) as http, ThreadPoolExecutor(3) as pool:
        assert statuses(http, a, 1) == [200]
        stop = threading.Event()

        def last() -> int:
            while True:
                with ask() as answer:
                    if answer.status_code != 429:
                        return answer.status_code if kind == "claim" or stop.wait(20) else 0

        def ask() -> Any:
            if kind == "stream":
                return http.stream("GET", "/api/stream", headers=bearer(a))
            return http.stream("POST", "/api/jobs/claim", headers=bearer(a), json=claim)

        lasting = [pool.submit(last) for _ in range(3)]
        until_sync(lambda: statuses(http, a, 1) == [429])
        refused = http.get("/api/runs", headers=bearer(a))
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["details"].startswith("WFG_OPEN_REQUESTS: 3 at a time of one token")
        assert statuses(http, b, 1) == [200]

        stop.set()
        if kind == "claim":
            http.delete("/api/workers/w", headers=bearer(b))  # another token: not its claims
            assert statuses(http, a, 1) == [429]
            engine.put(jobs=only("x", "y", "z"))
            engine.start()
        assert [each.result(20) for each in lasting] == [200] * 3
        until_sync(lambda: statuses(http, a, 1) == [200])


# --- our own clients ---


def test_a_worker_whose_token_is_flooded_loses_nothing(
    database: str, world: tuple[Engine, str, str], caplog: pytest.LogCaptureFixture
):
    """Its jobs take longer than their leases: heartbeats get through, and all ends are told."""
    engine, a, _ = world
    engine.put(jobs={f"j{n}": {"run": "sleep 1.5; echo done", "retries": 0} for n in range(3)})
    run = engine.start()
    told: list[tuple[str, int]] = []
    over = threading.Event()

    async def note(response: httpx.Response) -> None:
        told.append((response.request.url.path.rpartition("/")[2], response.status_code))

    def flood(url: str) -> int:
        with httpx.Client(base_url=url, headers=bearer(a)) as http:
            refused = 0
            while not over.wait(0.005):
                refused += http.get("/api/runs").status_code == 429
            return refused

    async def work(url: str) -> None:
        worker = Worker(slots=3, worker_id="w", ttl_secs=1)
        async with HttpTransport(url, a) as transport:
            transport._http.event_hooks = {"response": [note]}
            working = asyncio.create_task(worker.run(transport))
            await until(lambda: engine.state(run) == "success")
            worker.stop()
            await asyncio.wait_for(working, 20)

    with serving(database, requests_per_sec=30) as http, ThreadPoolExecutor(1) as pool:
        flooding = pool.submit(flood, str(http.base_url))
        try:
            asyncio.run(work(str(http.base_url)))
        finally:
            over.set()
        assert flooding.result() > 50
    assert {job_of(engine, run, f"j{n}")["attempt"] for n in range(3)} == {0}
    assert engine.call("wfg_list_workers") == []
    assert ("claim-many", 429) in told or ("register", 429) in told
    assert sum(path == "heartbeat" and status == 200 for path, status in told) >= 9


def test_reports_refused_by_429_stay_together():
    sent: list[int] = []

    class Busy:
        async def report(self, reports: Sequence[Report]) -> list[ReportAnswer]:
            sent.append(len(reports))
            if len(sent) < 3:
                raise error_of(429, "too_many_requests")
            return [ReportAnswer(lease_id=each.lease_id, ok=True, job="success") for each in reports]

    async def body() -> list[str]:
        reporter = Reporter(cast("Transport", Busy()))
        claims = [claim_of(f"l{n}") for n in range(5)]
        return await asyncio.gather(
            *(
                reporter.deliver(
                    Report(lease_id=claim.lease.lease_id, outcome="success"),
                    HeldLease(claim, asyncio.get_running_loop().time()),
                )
                for claim in claims
            )
        )

    assert asyncio.run(body()) == ["success"] * 5
    assert sum(sent) == 15


def test_a_heartbeat_refused_by_429_comes_again_while_the_lease_holds():
    """Though the server asks for more patience than there is."""
    asked: list[float] = []

    class Busy:
        async def renew(self, lease_id: str) -> Renewal:
            asked.append(asyncio.get_running_loop().time())
            if len(asked) == 1:
                refusal = Unavailable(429, "too_many_requests")
                refusal.retry_after_secs = 10.0
                raise refusal
            return Renewal(stop="cancelled")  # it was let in, and ends this

    async def body() -> None:
        lease = HeldLease(claim_of("l", ttl_secs=1), asyncio.get_running_loop().time())
        ends_at = lease.ends_at
        await lease.keep(cast("Transport", Busy()))
        assert lease.reason is StopReason.CANCELLED
        assert asked[1] < ends_at

    asyncio.run(body())


def claim_of(lease_id: str, ttl_secs: int = 30) -> Claim:
    job = ClaimedJob(
        job_id="a",
        workflow_id="w",
        run_id="r",
        script="true",
        env={},
        inputs={},
        required_labels=[],
        attempt=0,
        upstream_outputs={},
    )
    return Claim(job=job, lease=Lease(lease_id=lease_id, ttl_secs=ttl_secs))


def test_a_command_waits_as_it_is_told_and_goes_on(monkeypatch: pytest.MonkeyPatch):
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    answers = [(429, {"retry-after": "3"}), (429, {"retry-after": "1"}), (200, {})]

    def answer(request: httpx.Request) -> httpx.Response:
        status, headers = answers.pop(0)
        return httpx.Response(status, headers={"content-type": "application/json", **headers}, text="{}")

    with Client("http://server") as client:
        client.http = httpx.Client(base_url="http://server", transport=httpx.MockTransport(answer))
        assert client.call("GET", "/api/runs") == "{}"
        assert slept == [3.0, 1.0]
        answers[:] = [(429, {"retry-after": "10"})] * 4
        monkeypatch.setattr("time.monotonic", lambda: 10.0 * len(slept))
        with pytest.raises(Unavailable):
            client.call("GET", "/api/runs")


# --- processes ---


def victim_of(http: httpx.Client, token: str, many: int) -> tuple[list[int], list[float]]:
    """Statuses and seconds of its claims."""
    answers = [
        http.post("/api/jobs/claim", headers=bearer(token), json={"worker_id": "v", "labels": []})
        for _ in range(many)
    ]
    return [each.status_code for each in answers], sorted(each.elapsed.total_seconds() for each in answers)


@pytest.mark.nightly
def test_a_flooding_process_is_slowed_and_another_token_is_served(
    database: str, world: tuple[Engine, str, str], tmp_path: Path
):
    _, a, b = world
    with server_process(database, tmp_path, WFG_REQUESTS_PER_SEC="100") as server, server.client() as http:
        assert (statuses(http, a, 1), statuses(http, b, 1)) == ([200], [200])
        _, alone = victim_of(http, b, 20)
        flooding = flooder.start(port_of(server), a, 30, 2)
        refused = re.compile(r'^wfg_server_requests_refused_total{limit="rate"} [1-9]', re.MULTILINE)
        until_sync(lambda: refused.search(http.get("/metrics", headers=bearer(b)).text))
        answered, beside = victim_of(http, b, 40)
        assert flooding.poll() is None, "it was there all the time"
        flood = flooder.result(flooding)

    assert answered == [200] * 40
    assert set(flood["statuses"]) == {"200", "429"}
    assert flood["retry_after"] == 1
    assert flood["statuses"]["200"] <= 100 * (flood["secs"] + 1)
    assert flood["statuses"]["429"] <= 100 * (flood["secs"] + 1) + 30 * (flood["secs"] + 1)
    assert beside[20] < 10 * alone[10] + 0.2


@pytest.mark.nightly
def test_what_a_flood_costs_another_token(
    database: str, world: tuple[Engine, str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The figure: it is printed, for the machine may be busy with other things."""
    _, a, b = world
    p50: dict[str, float] = {}
    with capsys.disabled():
        for rate in ("0", "100"):
            with server_process(database, tmp_path, WFG_REQUESTS_PER_SEC=rate) as server:
                port = port_of(server)
                with server.client() as http:
                    assert (statuses(http, a, 1), statuses(http, b, 1)) == ([200], [200])
                for flooders in (0, 50, 200):
                    flooding = flooder.start(port, a, flooders, 6)
                    victim = flooder.result(flooder.start(port, b, 1, 4, 0.02))
                    flood = flooder.result(flooding)["statuses"]
                    assert set(victim["statuses"]) == {"200"}
                    times = sorted(victim["ms"])
                    p50[f"{rate} {flooders}"] = times[len(times) // 2]
                    last = times[len(times) * 99 // 100]
                    print(
                        f"\nlimit {rate}, {flooders} connections: p50 {times[len(times) // 2]:.1f} ms,"
                        f" p99 {last:.1f} ms, the flood {flood}",
                        end="",
                    )
    assert p50["100 50"] < p50["0 50"]
