"""What /metrics tells: of the engine, as wfg_metrics has it, and of this process."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import version

from pydantic import TypeAdapter

from .db import Credential, Database
from .exposition import Counts, Family, Histogram, by, exposition, gauge
from .listen import Lines, Listener
from .transport import Wire, read_answer


class Lane(Wire):
    """Jobs with the same required labels and priority."""

    required_labels: tuple[str, ...]
    priority: int
    ready: int
    delayed: int
    held: int
    leased: int
    oldest_ready_secs: float


class OtherLanes(Wire):
    """The sums of all lanes that are not told one by one."""

    lanes: int
    ready: int
    delayed: int
    held: int
    leased: int
    oldest_ready_secs: float


class EngineMetrics(Wire):
    """wfg_metrics."""

    capped: bool
    lanes: tuple[Lane, ...]
    other: OtherLanes
    pauses: dict[str, int]
    put_aside: int
    leases: dict[str, int]
    workers: dict[str, int]
    runs: dict[str, int]
    totals: dict[str, int]


ENGINE_METRICS = TypeAdapter(EngineMetrics)


def joined(labels: tuple[str, ...]) -> str:
    """As one value, by commas; no two sets of labels become the same."""
    return ",".join(label.replace("\\", "\\\\").replace(",", "\\,") for label in labels)


def of_engine(found: EngineMetrics) -> Iterator[Family]:
    """The same at every server of a database. `other` has no priority, so no lane is meant."""
    lanes = [
        ({"labels": joined(each.required_labels), "priority": str(each.priority)}, each)
        for each in found.lanes
    ]
    lanes += [({"labels": "other", "priority": ""}, found.other)] if found.other.lanes else []
    yield Family(
        "wfg_queue_jobs",
        "gauge",
        "Jobs that wait or run now, by required labels and priority.",
        [
            ("", {**labels, "state": state}, getattr(lane, state))
            for labels, lane in lanes
            for state in ("ready", "delayed", "held", "leased")
        ],
    )
    yield Family(
        "wfg_queue_oldest_ready_seconds",
        "gauge",
        "How long the first ready job has been waiting.",
        [("", labels, lane.oldest_ready_secs) for labels, lane in lanes],
    )
    yield gauge("wfg_queue_other_lanes", "Pairs of labels and priority summed as other.", found.other.lanes)
    yield gauge("wfg_queue_capped", "1 if there is more than was counted.", int(found.capped))
    yield Family("wfg_pauses", "gauge", "Pauses in force.", by("kind", found.pauses))
    yield gauge("wfg_queue_put_aside_jobs", "Jobs of paused workflows that are due.", found.put_aside)
    yield Family("wfg_leases", "gauge", "Leases; overdue ones wait for upkeep.", by("state", found.leases))
    yield Family("wfg_workers", "gauge", "Workers that are known.", by("state", found.workers))
    yield gauge("wfg_runs_active", "Runs that have not ended.", found.runs["active"])

    def total(name: str, help: str) -> Family:
        return Family(f"wfg_{name}_total", "counter", help, [("", {}, found.totals[name])])

    def totals(name: str, help: str, label: str, prefix: str) -> Family:
        values = {key.removeprefix(prefix): n for key, n in found.totals.items() if key.startswith(prefix)}
        return Family(f"wfg_{name}_total", "counter", help, by(label, values))

    yield total("runs_started", "Runs started.")
    ended = {state: found.totals[f"runs_{state}"] for state in ("success", "failure", "cancelled")}
    yield Family("wfg_runs_ended_total", "counter", "Runs ended, by outcome.", by("state", ended))
    yield totals("jobs_ended", "Jobs ended, by outcome.", "state", "jobs_")
    yield total("claims", "Leases granted.")
    yield total("releases", "Leases given back.")
    yield total("retries", "Attempts that were followed by another.")
    yield totals(
        "attempts_failed", "Attempts that failed, followed by another or not.", "reason", "attempts_"
    )
    yield totals("reports_refused", "Reports refused, by the slug of the refusal.", "reason", "refused_")


class Meters:
    """What one server process counts of its own."""

    def __init__(self) -> None:
        self.requests = Counts(
            "wfg_server_requests_total", "Requests answered, by route.", ("method", "route", "status")
        )
        self.durations = Histogram(
            "wfg_server_request_duration_seconds",
            "From a request to the end of its answer; streams are not in it, waiting for work is.",
            ("method", "route"),
        )
        self.claims = Histogram(
            "wfg_server_claim_duration_seconds",
            "Of one look for work: a connection, and the call. A claim that waits looks several times.",
            ("result",),
        )
        self.refused = Counts(
            "wfg_server_requests_refused_total",
            "Requests answered 429, by the limit that was reached.",
            ("limit",),
        )
        self.refused.counts.update({("rate",): 0, ("open",): 0})
        self.in_progress = 0
        self.streams = 0
        self.started_at = time.time()

    def families(self, database: Database, listener: Listener, lines: Lines) -> Iterator[Family]:
        info = [("", {"version": version("wfg")}, 1)]
        yield Family("wfg_server_info", "gauge", "The version of this server.", info)
        yield gauge("wfg_server_start_time_seconds", "When this server started, epoch.", self.started_at)
        yield self.requests.family()
        yield self.refused.family()
        yield self.durations.family()
        yield self.claims.family()
        yield gauge("wfg_server_requests_in_progress", "Requests and streams under way.", self.in_progress)
        yield gauge("wfg_server_streams", "Streams of events under way.", self.streams)
        yield gauge("wfg_server_claims_waiting", "Claims that wait for work.", len(lines))
        yield gauge("wfg_server_listening", "1 while hints of the engine come in.", int(listener.listening))
        use = database.use()
        yield Family(
            "wfg_server_connections",
            "gauge",
            "Connections to the database, for requests.",
            by("state", {"busy": use.busy, "idle": use.idle}),
        )
        yield gauge("wfg_server_connections_limit", "So many of them there may be.", use.limit)
        yield gauge("wfg_server_calls_waiting", "Calls that wait for a connection.", use.waiting)


class Scrapes:
    """The engine's answer, kept for a moment: it is asked once, however many scrape meanwhile."""

    KEEP_SECS = 1.0

    def __init__(self, database: Database, meters: Meters, listener: Listener, lines: Lines) -> None:
        self._database = database
        self._meters = meters
        self._listener = listener
        self._lines = lines
        self._asked: dict[Credential, asyncio.Future[str]] = {}

    async def text(self, credential: Credential, ask: Callable[[], Awaitable[str]]) -> str:
        """ask: for the engine's answer. EngineError when this credential may not read it."""
        found = read_answer(ENGINE_METRICS, await self._once(credential, ask))
        ours = self._meters.families(self._database, self._listener, self._lines)
        return exposition([*of_engine(found), *ours])

    async def _once(self, credential: Credential, ask: Callable[[], Awaitable[str]]) -> str:
        """For each credential by itself: the engine judges it."""
        asked = self._asked.get(credential)
        if asked is None:
            asked = asyncio.ensure_future(ask())
            self._asked[credential] = asked
            asked.add_done_callback(lambda done: self._keep(credential, done))
        return await asyncio.shield(asked)

    def _keep(self, credential: Credential, done: "asyncio.Future[str]") -> None:
        failed = done.cancelled() or done.exception() is not None
        secs = 0.0 if failed else self.KEEP_SECS
        asyncio.get_running_loop().call_later(secs, self._asked.pop, credential, None)
