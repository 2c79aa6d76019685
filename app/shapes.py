"""The shapes of answers, for the OpenAPI document. The engine makes them; nothing here checks them."""

from typing import Literal

from pydantic import BaseModel, JsonValue

from .workflow_file import Problem

JobStatus = Literal["queued", "running", "success", "failure", "skipped", "cancelled"]
PauseKind = Literal["workflow", "labels", "all"]
RunState = Literal["queued", "running", "success", "failure", "cancelled"]


class Error(BaseModel):
    """Every error. message: a constant; details: the values; hint: what to do."""

    code: str
    message: str
    details: str | None
    hint: str | None


class Port(BaseModel):
    id: str
    label: str
    direction: Literal["input", "output"]
    port_type: str
    color: str | None


class Job(BaseModel):
    """A job of a workflow, with its state in the latest run. started_at: epoch milliseconds."""

    id: str
    name: str
    status: JobStatus
    command: str
    duration_secs: int | None
    started_at: float | None
    depends_on: list[str]
    output: str | None
    required_labels: list[str]
    max_retries: int
    attempt: int
    metadata: dict[str, JsonValue]
    ports: list[Port]
    children: list[JsonValue] | None
    collapsed: bool


class Workflow(BaseModel):
    """A workflow, or a run of it, with its jobs in the order of their definition."""

    id: str
    name: str
    trigger: str
    jobs: list[Job]


class Definition(BaseModel):
    """A version of a workflow. definition: the file as it was put. paused: workflow or all, or null."""

    id: str
    version: int
    name: str
    trigger: str
    definition: JsonValue
    inputs: list[JsonValue]
    jobs: list[JsonValue]
    created_at_ms: int
    paused: PauseKind | None


class Put(BaseModel):
    id: str
    version: int
    changed: bool
    warnings: list[Problem]


class Validation(BaseModel):
    valid: bool
    problems: list[Problem]
    warnings: list[Problem]


class Deleted(BaseModel):
    id: str
    deleted: bool


class Started(BaseModel):
    run_id: str
    workflow_id: str
    version: int
    created: bool


class StartedItem(BaseModel):
    """One of many. message: why it was not started."""

    ok: bool
    run_id: str | None = None
    version: int | None = None
    created: bool | None = None
    message: str | None = None


class RunJob(BaseModel):
    """kept: it did not run in this run; it is a success of the run that this one repeats."""

    job_id: str
    name: str
    state: JobStatus
    kept: bool
    attempt: int
    worker_id: str | None
    needs: list[str]
    group: str | None
    ready_at_ms: int | None
    started_at_ms: int | None
    finished_at_ms: int | None
    error: str | None
    paused: PauseKind | None


class Run(BaseModel):
    """One execution of a version. In lists, jobs is null.

    rerun_of: the run that it repeats. logs_pruned_at_ms: logs are missing since then.
    """

    run_id: str
    workflow_id: str
    version: int
    name: str
    state: RunState
    door: Literal["workflow", "run"]
    rerun_of: str | None
    inputs: dict[str, JsonValue]
    created_at_ms: int
    start_at_ms: int | None
    started_at_ms: int | None
    finished_at_ms: int | None
    idempotency_key: str | None
    started_by: str | None
    reason: str | None
    cancelled_by: str | None
    cancel_reason: str | None
    logs_pruned_at_ms: int | None
    traceparent: str | None
    paused: PauseKind | None
    jobs: list[RunJob] | None


class Runs(BaseModel):
    """A page of runs, newest first. next_cursor: null on the last."""

    items: list[Run]
    next_cursor: str | None


class ListedJob(BaseModel):
    """A job of some run. waits: why, of a queued one. no_worker: no live worker has its labels."""

    run_id: str
    workflow_id: str
    job_id: str
    name: str
    state: JobStatus
    waits: Literal["needs", "delayed", "held", "ready"] | None
    paused: PauseKind | None
    attempt: int
    attempts: int
    worker_id: str | None
    required_labels: list[str]
    priority: int
    no_worker: bool
    ready_at_ms: int | None
    started_at_ms: int | None
    finished_at_ms: int | None
    wait_ms: int | None
    run_ms: int | None
    error: str | None


class Jobs(BaseModel):
    """A page of jobs. next_cursor: null on the last."""

    items: list[ListedJob]
    next_cursor: str | None


class QueueLane(BaseModel):
    """Jobs of the same labels and priority. at_least: there may be more. workers: those that could."""

    required_labels: list[str]
    priority: int
    ready: int
    delayed: int
    held: int
    running: int
    at_least: bool
    oldest_wait_ms: int | None
    workers: int
    idle: int
    paused: bool
    no_worker: bool


class Totals(BaseModel):
    """Since some time, for rates."""

    runs_started: int
    jobs_queued: int
    jobs_ended: int


class QueueAnswer(BaseModel):
    """What is in trouble comes first. put_aside: jobs of paused workflows, in no item."""

    items: list[QueueLane]
    put_aside: int
    totals: Totals
    next_cursor: None


class Cancelled(BaseModel):
    """run_id: null for a workflow that was not run by this door yet: there is nothing to cancel."""

    run_id: str | None
    run: RunState


class Attempt(BaseModel):
    attempt: int
    outcome: str
    worker_id: str | None
    started_at_ms: int | None
    finished_at_ms: int | None
    error: str | None


class JobDetail(BaseModel):
    """ran_in: the run that attempts and log are of; of a kept job an earlier one, which may be pruned."""

    run_id: str
    workflow_id: str
    ran_in: str
    job: RunJob
    command: str
    required_labels: list[str]
    outputs: dict[str, str]
    attempts: list[Attempt]


class EndedAttempt(Attempt):
    job_id: str


class Attempts(BaseModel):
    """A page of attempts that did not end their job, or were cancelled. next_cursor: null on the last."""

    items: list[EndedAttempt]
    next_cursor: str | None


class Outcome(BaseModel):
    """due_at_ms: when its jobs could begin."""

    run_id: str
    state: RunState
    due_at_ms: int
    finished_at_ms: int | None


class Outcomes(BaseModel):
    """A workflow with its newest runs. success_rate: 0 to 1. usual_ms: median, from due to finished."""

    workflow_id: str
    name: str
    version: int
    jobs: int
    inputs: int
    paused: PauseKind | None
    success_rate: float | None
    usual_ms: int | None
    runs: list[Outcome]


class OutcomesPage(BaseModel):
    """Workflows in the order of their ids. next_cursor: null on the last page."""

    items: list[Outcomes]
    next_cursor: str | None


class RetryPolicy(BaseModel):
    max_retries: int
    backoff: JsonValue


class QueuedJob(BaseModel):
    """A job to run. command: self-contained; script and env: the same in parts. traceparent: its run's."""

    job_id: str
    workflow_id: str
    run_id: str
    command: str
    script: str
    env: dict[str, str]
    inputs: dict[str, JsonValue]
    required_labels: list[str]
    retry_policy: RetryPolicy
    timeout_secs: int | None
    attempt: int
    upstream_outputs: dict[str, dict[str, str]]
    upstream_omitted: list[str]
    enqueued_at_ms: int
    delayed_until_ms: int
    traceparent: str | None = None


class Lease(BaseModel):
    lease_id: str
    job_id: str
    workflow_id: str
    run_id: str
    worker_id: str
    ttl_secs: int
    granted_at_ms: int
    expires_at_ms: int


class Claim(BaseModel):
    job: QueuedJob
    lease: Lease


class Renewal(BaseModel):
    """stop: why to stop working, such as cancelled; or null."""

    lease_expires_at_ms: int
    stop: str | None


class Reported(BaseModel):
    job: JobStatus
    run: RunState


class ReportedItem(BaseModel):
    """message: why it was not accepted."""

    lease_id: str
    ok: bool
    job: JobStatus | None = None
    run: RunState | None = None
    message: str | None = None


class LogChunk(BaseModel):
    workflow_id: str
    job_id: str
    sequence: int
    data: str
    timestamp_ms: int
    stream: Literal["stdout", "stderr"]


class AttemptChunk(LogChunk):
    attempt: int


class LogPage(BaseModel):
    """next_cursor: where to read on, now or later."""

    items: list[AttemptChunk]
    next_cursor: str


class Appended(BaseModel):
    """truncated: the job's log is full, and what is sent from now on is dropped."""

    accepted: int
    truncated: bool


class Registered(BaseModel):
    worker_id: str
    labels: list[str]


class Known(BaseModel):
    worker_id: str


class Deregistered(BaseModel):
    worker_id: str
    deregistered: bool


class WorkerInfo(BaseModel):
    worker_id: str
    labels: list[str]
    registered_at_ms: int
    last_heartbeat_ms: int
    current_job: str | None
    status: Literal["idle", "busy", "offline"]


class Finding(BaseModel):
    """What is wrong, or worth knowing. fix: a command to paste; empty when there is nothing to do."""

    check: str
    severity: Literal["error", "warning", "info"]
    message: str
    fix: str


class Diagnosis(BaseModel):
    """findings: the worst first. status: that of the worst, infos aside."""

    status: Literal["ok", "warning", "error"]
    findings: list[Finding]
    revision: str
    postgres: int
    now_ms: int


class Pruned(BaseModel):
    """How many went, or would go. more: call again."""

    runs: int
    workers: int
    label_sets: int
    log_chunks: int
    versions: int
    workflows: int
    more: bool


class Pause(BaseModel):
    """What is paused: a workflow, the jobs that require all of some labels, or everything."""

    kind: PauseKind
    workflow_id: str | None
    labels: list[str] | None
    paused_at_ms: int
    paused_by: str | None
    reason: str | None


class Pauses(BaseModel):
    """A page of pauses, oldest first. next_cursor: null on the last."""

    items: list[Pause]
    next_cursor: str | None


class ResumedWorkflow(BaseModel):
    """resumed: whether it was paused."""

    workflow_id: str
    resumed: bool


class ResumedLabels(BaseModel):
    """resumed: whether they were paused."""

    labels: list[str]
    resumed: bool


class Thawed(BaseModel):
    """Whether it was frozen."""

    thawed: bool


class CronJob(BaseModel):
    """What pg_cron runs for us, and how it last did; last_…: null before the first time."""

    name: str
    schedule: str
    command: str
    active: bool
    last_run_at_ms: int | None
    last_status: str | None
    last_message: str | None


class CronJobs(BaseModel):
    items: list[CronJob]
    next_cursor: None


class Limit(BaseModel):
    """value is in force; least to most is what may be set."""

    name: str
    value: int
    default: int
    least: int
    most: int
    description: str


class Limits(BaseModel):
    items: list[Limit]
    next_cursor: None


class Unscheduled(BaseModel):
    """The names of the jobs."""

    unscheduled: list[str]


class Health(BaseModel):
    status: str


# One of each body of the worker protocol; tests/test_openapi.py holds them against their shapes.
EXAMPLES: dict[str, JsonValue] = {
    "Registration": {"worker_id": "w1", "labels": ["linux"]},
    "ClaimOne": {"worker_id": "w1", "labels": ["linux"], "lease_ttl_secs": 30},
    "Claim": {
        "job": {
            "job_id": "build",
            "script": "make",
            "required_labels": ["linux"],
            "retry_policy": {
                "max_retries": 2,
                "backoff": {"Exponential": {"base_secs": 2, "max_secs": 60}},
            },
            "timeout_secs": None,
            "workflow_id": "ci",
            "run_id": "019b7c3e-5d1c-7a52-8d2b-3f6a1c0e9b41",
            "command": "export OUTPUT_TEST_COVERAGE='94%'\nmake",
            "env": {"OUTPUT_TEST_COVERAGE": "94%"},
            "inputs": {},
            "upstream_outputs": {"lint": {}, "test": {"coverage": "94%"}},
            "upstream_omitted": [],
            "attempt": 0,
            "enqueued_at_ms": 1767225600000,
            "delayed_until_ms": 0,
        },
        "lease": {
            "lease_id": "019b7c3e-5d1c-7a52-8d2b-3f6a1c0e9b41.2.9d1c",
            "job_id": "build",
            "workflow_id": "ci",
            "run_id": "019b7c3e-5d1c-7a52-8d2b-3f6a1c0e9b41",
            "worker_id": "w1",
            "ttl_secs": 30,
            "granted_at_ms": 1767225601250,
            "expires_at_ms": 1767225631250,
        },
    },
    "Renewal": {"lease_expires_at_ms": 1767225641250, "stop": None},
    "Chunks": {
        "chunks": [
            {
                "workflow_id": "ci",
                "job_id": "build",
                "sequence": 0,
                "data": "cc main.c\n",
                "timestamp_ms": 1767225602000,
                "stream": "stdout",
            }
        ]
    },
    "Appended": {"accepted": 1, "truncated": False},
    "Complete": {"outputs": {"version": "1.4.2"}},
    "Fail": {"error": "exit code 2", "retryable": True},
    "Reported": {"job": "success", "run": "running"},
    "Error": {
        "code": "PT409",
        "message": "lease_not_held",
        "details": "The lease is unknown, expired or superseded.",
        "hint": "Stop working on the job.",
    },
}
