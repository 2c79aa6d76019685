"""Answers of the server, as far as commands show them."""

from pydantic import Field, JsonValue, TypeAdapter

from .run_view import RunJob
from .transport import Wire


class KnownJob(RunJob):
    """A job of a run, with all that is shown of it."""

    worker_id: str | None = None
    paused: str | None = None


class KnownRun(Wire):
    """A run, with all that is shown of it. In lists without jobs."""

    run_id: str
    workflow_id: str
    version: int
    name: str
    state: str
    inputs: dict[str, JsonValue] = Field(default_factory=dict)
    created_at_ms: int
    start_at_ms: int | None = None
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    rerun_of: str | None = None
    started_by: str | None = None
    reason: str | None = None
    cancelled_by: str | None = None
    cancel_reason: str | None = None
    logs_pruned_at_ms: int | None = None
    paused: str | None = None
    jobs: list[KnownJob] | None = None


class KnownDetail(Wire):
    """Where a job's log is."""

    ran_in: str


class RunPage(Wire):
    items: list[KnownRun]
    next_cursor: str | None


class ListedJob(Wire):
    """A job of some run, as it is listed."""

    run_id: str
    workflow_id: str
    job_id: str
    state: str
    waits: str | None = None
    attempts: int = 0
    worker_id: str | None = None
    required_labels: list[str]
    priority: int = 0
    paused: str | None = None
    no_worker: bool = False
    wait_ms: int | None = None
    run_ms: int | None = None
    error: str | None = None


class JobPage(Wire):
    items: list[ListedJob]
    next_cursor: str | None


class Lane(Wire):
    """What waits for the same labels, and who could take it."""

    required_labels: list[str]
    priority: int
    ready: int
    delayed: int
    held: int
    running: int
    at_least: bool = False
    oldest_wait_ms: int | None = None
    workers: int
    idle: int
    paused: bool = False
    no_worker: bool


class Totals(Wire):
    """Since some time, for rates."""

    runs_started: int
    jobs_ended: int


class Queue(Wire):
    items: list[Lane]
    put_aside: int = 0
    totals: Totals


class Put(Wire):
    version: int
    changed: bool


class Started(Wire):
    run_id: str
    created: bool


class Cancelled(Wire):
    """What became of a run, and of a job if it was one."""

    run: str
    job: str | None = None


class KnownWorker(Wire):
    worker_id: str
    labels: list[str]
    status: str
    current_job: str | None = None
    last_heartbeat_ms: int | None = None


class Named(Wire):
    id: str


class KnownInput(Wire):
    name: str


class KnownInputs(Wire):
    """What a workflow's runs may be given."""

    inputs: list[KnownInput]


RUN = TypeAdapter(KnownRun)
RUN_PAGE = TypeAdapter(RunPage)
JOB_PAGE = TypeAdapter(JobPage)
QUEUE = TypeAdapter(Queue)
DETAIL = TypeAdapter(KnownDetail)
PUT = TypeAdapter(Put)
STARTED_RUN = TypeAdapter(Started)
CANCELLED = TypeAdapter(Cancelled)
WORKERS = TypeAdapter(list[KnownWorker])
NAMES = TypeAdapter(list[Named])
INPUTS = TypeAdapter(KnownInputs)
