"""The load of tests/soak.py: so many runs a second, come what may, and all else that users do meanwhile.

Each kind of client has threads of its own. What fails is noted and counted, and it goes on.
"""

import json
import random
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.arrange import chain, diamond, join, only

# What is lost by no fault of its own is tried again, as often as it takes.
POLICY = {"lost_retries": 100}
AGAIN = {"backoff": {"fixed": 1}, "retries": 3}


def python(needs: Sequence[str] = (), priority: int = 0, **does: int) -> dict[str, Any]:
    """A job that tests/soak_handlers.py does."""
    job = {"run": "true", "labels": ["python"], "priority": priority, "needs": list(needs), **POLICY}
    return {**job, "env": {name.upper(): str(value) for name, value in {"lines": 1, **does}.items()}}


@dataclass(frozen=True)
class Graph:
    """weight: how many of the runs. ends: as what a run of it may."""

    weight: float
    jobs: Mapping[str, Mapping[str, Any]]
    ends: tuple[str, ...] = ("success",)


GRAPHS = {
    "chain": Graph(3, chain(4, **POLICY)),
    "diamond": Graph(3, {key: python(job.get("needs", ()), 5) for key, job in diamond(4).items()}),
    "join": Graph(0.5, {key: python(job.get("needs", ())) for key, job in join(18).items()}),
    "shell": Graph(
        1,
        {
            "build": {
                "run": "for n in 1 2 3 4 5 6 7 8; do echo line $n; done; echo '::set-output who=me'",
                "labels": ["linux"],
                **POLICY,
            },
            "test": {
                "run": 'test "$OUTPUT_BUILD_WHO" = me',
                "needs": ["build"],
                "labels": ["linux"],
                **POLICY,
            },
        },
    ),
    "logs": Graph(2, {"talk": python(lines=100)}),
    "outputs": Graph(1, {"large": python(bytes=50000), "small": python(["large"], -5, bytes=2000)}),
    "flaky": Graph(1, {"once": {**python(failures=1), **AGAIN}, "then": python(["once"])}),
    "failing": Graph(0.5, {"never": python(never=1), "skipped": python(["never"])}, ("failure",)),
    "slow": Graph(0.5, {"slow": python(secs=2), "then": python(["slow"])}, ("success", "cancelled")),
    "later": Graph(1, chain(2, **POLICY)),
    "paused": Graph(0.5, only("a", **POLICY)),
    # Of the highest priority: who asks for it may take jobs without labels, too.
    "probe": Graph(0, {"probe": {"run": "true", "labels": ["probe"], "priority": 100, **POLICY}}),
}
# Whose jobs are to be claimed as soon as the run is there.
AT_ONCE = ["chain", "diamond", "join", "shell", "logs", "outputs"]
STARTERS = 4
LATER_SECS = 3
PROBES_PER_SEC = 2.0
CONTROLS_PER_SEC = 10.0
CONTROL_ROWS = 1000
CONTROL = "update soak.control set n = n + 1 where id = %s"
SERIES = ("start", "queue time", "claim", "complete", "list", "control")


@dataclass
class Load:
    """urls: of servers. files: where it is written what was answered, started runs and ledger."""

    urls: list[str]
    dsn: str
    started_file: Path
    ledger: Path
    rate: float
    note: Callable[[str, Exception], None]
    chance: random.Random = field(default_factory=lambda: random.Random(8))
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        self.recent: dict[str, deque[str]] = {name: deque(maxlen=100) for name in GRAPHS}
        self.started = self.started_file.open("w", buffering=1)
        self.told = self.ledger.open("w", buffering=1)
        self.threads: list[threading.Thread] = []

    # --- beginning and end ---

    def put_graphs(self) -> None:
        with self.client(0) as http:
            for name, graph in GRAPHS.items():
                http.put(f"/api/workflows/{name}", json={"name": name, "jobs": graph.jobs}).raise_for_status()

    def begin(self) -> None:
        for number in range(STARTERS):
            self.go("start", self.start_a_run, self.rate / STARTERS, number)
        self.go("probe", self.probe, PROBES_PER_SEC, 0)
        self.go("control", self.control, CONTROLS_PER_SEC, 0, psycopg.connect(self.dsn, autocommit=True))
        self.go("cancel", self.cancel, 0.2, 0)
        self.go("rerun", self.rerun, 0.2, 1)
        self.go("pause", self.pause, 0.1, 1)
        self.go("scrape", self.scrape, 0.4, 0)
        for number in range(2):
            self.go("follow everything", self.follow_everything, 1.0, number)
            self.go("follow a run", self.follow_a_run, 2.0, number)

    def go(self, what: str, act: Callable[[Any], object], rate: float, number: int, tool: Any = None) -> None:
        """In a thread of its own, so often a second, whether or not it is late."""

        def turns() -> None:
            with tool or self.client(number) as with_it:
                due = time.monotonic() + number / rate / STARTERS
                while not self.stop.wait(max(0.0, due - time.monotonic())):
                    try:
                        act(with_it)
                        # From when it was due: who waited for the one before is late.
                        if what in ("start", "control"):
                            self.add_time(what, time.monotonic() - due)
                    except Exception as error:
                        self.note(what, error)
                        self.counts[f"{what}: {type(error).__name__}"] += 1
                    due += 1 / rate
                    if what.startswith("follow"):
                        due = max(due, time.monotonic())

        thread = threading.Thread(target=turns, name=what, daemon=True)
        thread.start()
        self.threads.append(thread)

    def end(self) -> None:
        """No more is started, and nothing is paused."""
        self.stop.set()
        until = time.monotonic() + 35
        for thread in self.threads:
            thread.join(max(0.0, until - time.monotonic()))
        with self.client(0) as http, suppress(httpx.HTTPError):
            http.post("/api/workflows/paused/resume")
            while self.claim_and_complete(http):  # what a call that failed has left
                pass

    def take_times(self) -> dict[str, list[float]]:
        """Milliseconds since the last call."""
        with self.lock:
            times, self.times = self.times, defaultdict(list)
        return {name: values[:] for name, values in times.items()}

    def add_time(self, name: str, secs: float) -> None:
        with self.lock:
            self.times[name].append(round(secs * 1000, 2))

    def client(self, number: int) -> httpx.Client:
        return httpx.Client(base_url=self.urls[number % len(self.urls)], timeout=30)

    # --- clients ---

    def start_a_run(self, http: httpx.Client) -> None:
        """With a key, and now and then twice with it."""
        names = list(GRAPHS)
        with self.lock:
            name = self.chance.choices(names, [GRAPHS[name].weight for name in names])[0]
            twice = self.chance.random() < 0.05
            key = f"{self.counts['keys']}"
            self.counts["keys"] += 1
        body: dict[str, Any] = {"idempotency_key": key, "started_by": "soak"}
        if name == "later":
            body["start_at"] = (datetime.now(UTC) + timedelta(seconds=LATER_SECS)).isoformat()
        run = self.post_run(http, name, body)
        if twice and self.post_run(http, name, body) != run:
            raise AssertionError(f"the key {key} started two runs")

    def post_run(self, http: httpx.Client, name: str, body: Mapping[str, Any]) -> str:
        answer = http.post(f"/api/workflows/{name}/runs", json=body)
        answer.raise_for_status()
        run: str = answer.json()["run_id"]
        with self.lock:
            if answer.json()["created"]:
                self.counts["runs"] += 1
                self.started.write(f"{run}\n")
                self.recent[name].append(run)
        return run

    def probe(self, http: httpx.Client) -> None:
        """A run through its life over HTTP, and a list: each call is timed."""
        self.post_run(http, "probe", {})
        if not self.claim_and_complete(http):
            raise AssertionError("there is no job though a run was started")
        self.timed(http, "list", "GET", "/api/runs?limit=20")

    def claim_and_complete(self, http: httpx.Client) -> bool:
        """Whether there was a job."""
        asked = {"worker_id": "probe", "labels": ["probe"]}
        claim = self.timed(http, "claim", "POST", "/api/jobs/claim", asked)
        if claim is None:
            return False
        job, path = claim["job"], f"/api/jobs/{claim['lease']['lease_id']}/complete"
        self.timed(http, "complete", "POST", path, {"outputs": {"a": "1"}})
        self.told.write(f"accepted {job['run_id']} {job['job_id']} {job['attempt']}\n")
        return True

    def timed(self, http: httpx.Client, name: str, method: str, path: str, body: Any = None) -> Any:
        begun = time.monotonic()
        answer = http.request(method, path, json=body)
        answer.raise_for_status()
        self.add_time(name, time.monotonic() - begun)
        return answer.json()

    def control(self, connection: psycopg.Connection) -> None:
        """What the machine and Postgres themselves take: a row of a table that nobody else uses."""
        connection.execute(CONTROL, (self.chance.randrange(CONTROL_ROWS),))

    def cancel(self, http: httpx.Client) -> None:
        """The newest of those that take long."""
        with suppress(IndexError):
            run = self.recent["slow"].pop()
            self.recent["slow"].clear()  # older ones may be pruned before their turn comes
            http.post(f"/api/runs/{run}/cancel", json={"cancelled_by": "soak"}).raise_for_status()
            self.counts["cancels"] += 1

    def rerun(self, http: httpx.Client) -> None:
        """One that failed: what failed of it. One that did not: all of it."""
        for name, jobs in (("failing", "failed"), ("diamond", "all")):
            with suppress(IndexError):
                run = self.recent[name].popleft()
                answer = http.post(f"/api/runs/{run}/rerun", json={"jobs": jobs})
                if answer.status_code not in (404, 409):  # pruned, or not over yet
                    answer.raise_for_status()
                    self.started.write(f"{answer.json()['run_id']}\n")
                    self.counts["reruns"] += 1

    def pause(self, http: httpx.Client) -> None:
        """A workflow, for a while."""
        http.post("/api/workflows/paused/pause", json={"paused_by": "soak"}).raise_for_status()
        try:
            self.stop.wait(3)
        finally:
            http.post("/api/workflows/paused/resume").raise_for_status()
        self.counts["pauses"] += 1

    def scrape(self, http: httpx.Client) -> None:
        """What Prometheus and an operator's page read."""
        paths = ["/metrics", "/api/queue", "/api/outcomes", "/api/workers", "/api/health"]
        for name in ("chain", "slow"):
            with suppress(IndexError):
                paths += [f"/api/runs/{self.recent[name][-1]}"]
        paths += ["/api/runs?state=failure&limit=50", "/api/jobs?state=running"]
        for path in paths:
            answer = http.get(path)
            if answer.status_code != 404:
                answer.raise_for_status()
        self.counts["scrapes"] += 1

    def follow_everything(self, http: httpx.Client) -> None:
        self.follow(http, "/api/stream", 120)

    def follow_a_run(self, http: httpx.Client) -> None:
        """To its end, and a log besides."""
        with suppress(IndexError):
            self.follow(http, f"/api/runs/{self.recent['shell'][-1]}/stream", 20)
            self.follow(http, f"/api/runs/{self.recent['logs'][-1]}/jobs/talk/logs/stream", 20)

    def follow(self, http: httpx.Client, path: str, secs: float) -> None:
        """For so long at most. What was pruned is no more."""
        until = time.monotonic() + secs
        with http.stream("GET", path, timeout=httpx.Timeout(30, read=60)) as answer:
            if answer.status_code == 404:
                return
            answer.raise_for_status()
            for line in answer.iter_lines():
                self.counts["events"] += line.startswith("event:")
                if self.stop.is_set() or time.monotonic() > until or line == "event: end":
                    return


def as_line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":")) + "\n"
