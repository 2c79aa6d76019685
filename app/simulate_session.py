"""The engine as a simulation drives it: with its own clock, in one transaction that is rolled back.

Nothing of it can meet what is real. The clock stands in the year 2000: every real job is ready later, every
real lease ends later. Jobs require labels that no real worker has. In a database that is there only for it,
each call is committed: what one transaction has updated thousands of times is slow to find.
"""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from secrets import randbits
from typing import LiteralString
from uuid import uuid4

import psycopg
from pydantic import TypeAdapter

from .db import Value, engine_error, query_of, text_of
from .errors import EngineError
from .refusals import FINDINGS, warnings_of
from .simulate_scenario import PlannedJob, Pool
from .source_tree import Entry, Node, Scalar, string_json, to_json
from .source_tree import Mapping as MappingNode
from .source_tree import Sequence as SequenceNode
from .transport import REPORT_ANSWERS, REPORTS, Report, Wire, read_answer
from .workflow_file import PROBLEMS, WorkflowFile

START = datetime(2000, 1, 1, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
MAX_MS = 15 * 365 * 86_400_000  # from START, and still long ago
STARTED_BY = "wfg simulate"
MAX_REAPED = 100_000  # in one call, the most that it takes; a run has fewer jobs


class SimulationError(Exception):
    """It cannot be simulated here; the text says why."""


class Definition(Wire):
    """wfg_get_workflow."""

    jobs: list[PlannedJob]


class Started(Wire):
    """wfg_start_run."""

    run_id: str


class SimulatedJob(Wire):
    """A job of wfg_get_run."""

    job_id: str
    name: str
    state: str
    needs: list[str]
    ready_at_ms: int | None
    finished_at_ms: int | None


class SimulatedRun(Wire):
    """wfg_get_run."""

    name: str
    state: str
    finished_at_ms: int | None
    jobs: list[SimulatedJob]


class JobDetail(Wire):
    """wfg_get_job."""

    job: SimulatedJob


class ClaimedJob(Wire):
    """The job of a claim."""

    job_id: str
    run_id: str
    attempt: int  # from 0
    enqueued_at_ms: int


class GrantedLease(Wire):
    """The lease of a claim."""

    lease_id: str
    expires_at_ms: int


class SimulatedClaim(Wire):
    """A job that a simulated worker has."""

    job: ClaimedJob
    lease: GrantedLease


class Renewed(Wire):
    """wfg_renew_lease."""

    lease_expires_at_ms: int


class Health(Wire):
    """wfg_health."""

    now_ms: int


DEFINITION = TypeAdapter(Definition)
STARTED = TypeAdapter(Started)
RUN = TypeAdapter(SimulatedRun)
DETAIL = TypeAdapter(JobDetail)
CLAIMS = TypeAdapter(list[SimulatedClaim])
RENEWED = TypeAdapter(Renewed)
HEALTH = TypeAdapter(Health)


class Session:
    """Calls of the engine's functions in a transaction with its own clock. Times are epoch milliseconds."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._workflow_id = f"simulated-{uuid4().hex}"
        self._labels: dict[str, str] = {}
        self._run_id = ""
        self._set_at: str | None = None  # told with the next call
        self.now_ms = START_MS

    def begin(self, seed: int) -> None:
        """Set clock and chance, or SimulationError when this role may not."""
        self._run("select setseed(%s)", [(seed % 2_000_001 - 1_000_000) / 1_000_000])
        self.set_clock(START_MS)
        if read_answer(HEALTH, self.call("wfg_health")).now_ms != START_MS:
            raise SimulationError(
                "Only a member of the role that owns schema wfg may set the clock in this database.\n"
                "Leave --database-url out to simulate on an embedded Postgres."
            )

    def set_clock(self, at_ms: int) -> None:
        at = START + timedelta(milliseconds=at_ms - START_MS)
        if at_ms - START_MS > MAX_MS:
            raise SimulationError("The run goes on for more than 15 years.")
        self._set_at = at.isoformat()
        self.now_ms = at_ms

    # --- the run ---

    def put(self, file: WorkflowFile, *, lenient: bool, labelled: bool) -> tuple[Definition, list[str]]:
        """Store the definition under an id and labels of its own; it in normal form, and warnings.

        labelled: jobs ask for what stands for their labels, else all for the same.
        """
        answer = self.call("wfg_validate_workflow", p_definition=file.definition, p_lenient=lenient)
        if problems := read_answer(FINDINGS, answer).problems:
            raise EngineError(422, "invalid_workflow", PROBLEMS.dump_json(list(problems)).decode())
        self.call(
            "wfg_put_workflow",
            p_workflow_id=self._workflow_id,
            p_definition=to_json(self._relabelled(file.root, labelled)),
            p_lenient=lenient,
        )
        definition = read_answer(DEFINITION, self.call("wfg_get_workflow", p_workflow_id=self._workflow_id))
        return definition, warnings_of(file, answer)

    def start(self, inputs: Mapping[str, str]) -> SimulatedRun:
        answer = self.call(
            "wfg_start_run",
            p_workflow_id=self._workflow_id,
            p_inputs=json.dumps(dict(inputs)),
            p_started_by=STARTED_BY,
        )
        self._run_id = read_answer(STARTED, answer).run_id
        return self.run()

    def run(self) -> SimulatedRun:
        return read_answer(RUN, self.call("wfg_get_run", p_run_id=self._run_id))

    def job(self, job_id: str) -> JobDetail:
        return read_answer(DETAIL, self.call("wfg_get_job", p_run_id=self._run_id, p_job_id=job_id))

    # --- workers ---

    def claim(self, pool: Pool, limit: int, ttl_secs: int) -> list[SimulatedClaim]:
        """Up to limit jobs for workers of a pool."""
        labels = self._labels if pool.labels is None else pool.labels
        answer = self.call(
            "wfg_claim_jobs",
            p_worker_id=self._workflow_id,
            p_labels=json.dumps([self._own_label(""), *map(self._own_label, labels)]),
            p_limit=limit,
            p_ttl_secs=ttl_secs,
        )
        claims = read_answer(CLAIMS, answer)
        if any(claim.job.run_id != self._run_id for claim in claims):
            raise SimulationError(
                "A job of this database was ready in the year 2000: simulate without --database-url."
            )
        return claims

    @contextmanager
    def undone(self) -> Generator[None]:
        """What is called in the block never happened."""
        set_at = self._set_at
        with self._connection.transaction(force_rollback=True):
            yield
        self._set_at = set_at  # it was rolled back too

    def renew(self, lease_id: str) -> int:
        """When the lease ends now."""
        return read_answer(RENEWED, self.call("wfg_renew_lease", p_lease_id=lease_id)).lease_expires_at_ms

    def report(self, reports: Sequence[Report]) -> list[str]:
        """The states of the jobs after it. All leases must live."""
        text = REPORTS.dump_json(list(reports)).decode()
        answers = read_answer(REPORT_ANSWERS, self.call("wfg_report_jobs", p_reports=text, p_strict=True))
        return [str(answer.job) for answer in answers]

    def reap(self) -> None:
        """End what is over: leases of this run, for no other is over in the year 2000."""
        self.call("wfg_reap", p_limit=MAX_REAPED)

    # --- labels ---

    def _own_label(self, label: str) -> str:
        """What stands for a label, and nowhere else. "" is what jobs without labels ask for."""
        return self._labels.setdefault(label, f"{self._workflow_id}-{len(self._labels)}")

    def _relabelled(self, root: Node, labelled: bool) -> Node:
        """A valid file, as a tree, whose jobs ask for labels that no real worker has."""
        self._own_label("")
        if not isinstance(root, MappingNode) or "jobs" not in root.entries:
            return root
        jobs = root.entries["jobs"]
        if not isinstance(jobs.value, MappingNode):
            return root
        changed = {
            name: Entry(entry.line, self._relabelled_job(entry.value, labelled))
            for name, entry in jobs.value.entries.items()
        }
        entries = {**root.entries, "jobs": Entry(jobs.line, MappingNode(jobs.line, changed))}
        return MappingNode(root.line, entries)

    def _relabelled_job(self, job: Node, labelled: bool) -> Node:
        if not isinstance(job, MappingNode):
            return job
        own = [self._own_label(label) for label in labels_of(job) if labelled] or [self._own_label("")]
        items: list[Node] = [Scalar(job.line, label, string_json(label, job.line)) for label in own]
        labels = Entry(job.line, SequenceNode(job.line, items))
        return MappingNode(job.line, {**job.entries, "labels": labels})

    # --- calls ---

    def call(self, function: str, **params: Value) -> str:
        """As Database.call, in this transaction."""
        values = [value if value is None else text_of(value) for value in params.values()]
        return str(self._run(query_of(function, tuple(params), checked=False), values))

    def _run(self, query: LiteralString | bytes, values: Sequence[str | float | None]) -> object:
        """The answer's only value. A new time travels with the call, in one round trip."""
        at, self._set_at = self._set_at, None
        try:
            with self._connection.pipeline() if at else nullcontext():
                if at:
                    self._connection.execute("select set_config('wfg.fake_now', %s, false)", [at])
                cursor = self._connection.execute(query, values)
            row = cursor.fetchone()
        except psycopg.Error as error:
            raise engine_error(error) from error
        return None if row is None else row[0]


def labels_of(job: MappingNode) -> list[str]:
    """As written."""
    entry = job.entries.get("labels")
    if entry is None or not isinstance(entry.value, SequenceNode):
        return []
    return [item.text for item in entry.value.items if isinstance(item, Scalar)]


def all_labels(root: Node) -> dict[str, list[str]]:
    """The labels of each job of a valid file."""
    jobs = root.entries["jobs"].value if isinstance(root, MappingNode) and "jobs" in root.entries else None
    if not isinstance(jobs, MappingNode):
        return {}
    return {
        name: labels_of(entry.value)
        for name, entry in jobs.entries.items()
        if isinstance(entry.value, MappingNode)
    }


@contextmanager
def simulated_session(dsn: str, seed: int, *, throwaway: bool = False) -> Generator[Session]:
    """A session in a transaction that is rolled back at the end of the block, whatever happens in it.

    throwaway: in a database that nobody else uses, or will.
    """
    with psycopg.connect(
        dsn, autocommit=throwaway, prepare_threshold=None, application_name=STARTED_BY, connect_timeout=10
    ) as connection:
        try:
            # A client that was stopped must not keep its locks.
            connection.execute("set idle_in_transaction_session_timeout = '10s'")
            session = Session(connection)
            session.begin(seed)
            yield session
        finally:
            if not connection.broken:
                connection.rollback()  # the settings too
                # Behind a pooler somebody else has this session next.
                connection.execute("select setseed(%s)", [randbits(20) / 2**20])
                connection.commit()
