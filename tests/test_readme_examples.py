"""sql/README.md, "The functions": each example answer, produced and compared; ~ and … are what varies."""

import json
import re

import pytest
from wfg.revisions import SQL

from tests.arrange import START, after, chunk, engine_on, only, run_workflow
from tests.engine import lease_id

README = (SQL / "README.md").read_text()
ROWS = re.findall(r"^\| `(wfg_\w+)\((.*?)\)` \| (.*) \|$", README, re.MULTILINE)
SHAPES = dict(re.findall(r"^(\w+)[^:\n]*:\n\n((?:    .*\n)+)", README, re.MULTILINE))

CI = {
    "test": {"run": "make test", "retries": 1},
    "build": {
        "name": "Build",
        "needs": ["test"],
        "run": "make",
        "labels": ["linux"],
        "retries": 2,
        "backoff": {"exponential": {"base": 2, "max": 60}},
    },
}
# "those of the workflow-graph API, field for field"
WORKFLOW = ["id", "name", "trigger", "jobs"]
JOB = [
    *("id", "name", "status", "command", "duration_secs", "started_at", "depends_on", "output"),
    *("required_labels", "max_retries", "attempt", "metadata", "ports", "children", "collapsed"),
]
LOG_CHUNK = ["workflow_id", "job_id", "sequence", "data", "timestamp_ms", "stream"]
WORKER_INFO = ["worker_id", "labels", "registered_at_ms", "last_heartbeat_ms", "current_job", "status"]


def compact(text: str) -> str:
    """JSON without blanks, its keys in their order."""
    return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)


def matches(example: str, text: str) -> bool:
    """Whether an answer is the example, but for what ~ and … stand for."""
    pattern = re.escape(re.sub(r"\n\s*", "", example.strip()))
    for mark, meaning in (
        ('"\\~"', r'"[^"]+"'),
        ("\\~", r"\d+(\.\d+)?"),
        ('"…"', r'"([^"\\]|\\.)+"'),
        ("\\{…\\}", r"\{.*\}"),
        ("\\[…\\]", r"\[.*\]"),
        ("\\{a\\ member\\ of\\ jobs\\}", r"\{.*\}"),
    ):
        pattern = pattern.replace(mark, meaning)
    return re.fullmatch(pattern, compact(text)) is not None


def produce(engine) -> dict[str, str]:
    """One answer of every function, in a story that ends in the README's examples."""
    answers: dict[str, str] = {}

    def call(function, **params):
        text = engine.call_text(function, **params)
        answers[function] = text
        return json.loads(text)

    definition = {"name": "CI", "jobs": CI}
    call("wfg_validate_workflow", p_definition=definition)
    call("wfg_put_workflow", p_workflow_id="ci", p_definition=definition)
    engine.advance(1)
    call("wfg_create_sample_workflow")
    job = {"id": "a", "name": "A", "status": "queued", "command": "true", "depends_on": []}
    call("wfg_create_workflow", p_name="n", p_trigger="manual", p_jobs=[job])
    call("wfg_get_workflow", p_workflow_id="ci")
    call("wfg_list_workflows")
    call("wfg_register_worker", p_worker_id="w1", p_labels=["linux"])
    call("wfg_heartbeat_worker", p_worker_id="w1")

    # The workflow door: what a claim looks like, and what can be done with a lease.
    call("wfg_run_workflow", p_workflow_id="ci")
    engine.advance(1)
    call("wfg_complete_job", p_lease_id=lease_id(engine.claim()), p_outputs={"coverage": "94%"})
    call("wfg_get_outputs", p_run_id="ci", p_job_id="test")
    claim = call("wfg_claim_job", p_worker_id="w1", p_labels=["linux"])
    call("wfg_list_workers")
    call("wfg_renew_lease", p_lease_id=lease_id(claim))
    call("wfg_append_logs", p_lease_id=lease_id(claim), p_chunks=[chunk(claim, 0), chunk(claim, 1)])
    call("wfg_list_logs", p_workflow_id="ci", p_job_id="build")
    call("wfg_read_logs", p_workflow_id="ci", p_job_id="build")
    call("wfg_get_status", p_workflow_id="ci")
    call("wfg_is_cancelled", p_workflow_id="ci", p_job_id="build")
    call("wfg_release_job", p_lease_id=lease_id(claim))
    call("wfg_cancel_run", p_run_id="ci")

    # The other door: a run in the middle, a job on its second attempt, a failure.
    run = call("wfg_start_run", p_workflow_id="ci")
    engine.complete(engine.claim())
    call("wfg_list_jobs")
    call("wfg_list_queue")
    claims = call("wfg_claim_jobs", p_worker_id="w1", p_labels=["linux"], p_limit=1)
    call("wfg_get_run", p_run_id=run["run_id"])
    call("wfg_list_runs")
    engine.complete(claims[0])
    call("wfg_list_outcomes", p_workflow_id="ci")
    run = engine.start("ci")
    engine.fail(engine.claim(), retryable=True)
    call("wfg_get_job", p_run_id=run, p_job_id="test")
    call("wfg_list_attempts", p_run_id=run)
    call("wfg_fail_job", p_lease_id=lease_id(engine.claim()), p_error="boom")

    call("wfg_rerun_run", p_run_id=run, p_jobs="failed")

    engine.put("one", jobs=only("a"))
    engine.start("one")
    reports = [{"lease_id": lease, "outcome": "success"} for lease in (lease_id(engine.claim()), "x")]
    call("wfg_report_jobs", p_reports=reports)
    run = engine.start("one")
    call("wfg_watch_runs", p_run_ids=[run])
    call("wfg_cancel_job", p_run_id=run, p_job_id="a")
    keyed = [{"idempotency_key": "k"}, {"idempotency_key": "k", "start_at_ms": 1}]
    call("wfg_start_runs", p_workflow_id="one", p_runs=keyed)
    call("wfg_metrics")
    call("wfg_pause_workflow", p_workflow_id="ci", p_paused_by="me", p_reason="a bad release")
    call("wfg_pause_labels", p_labels=["linux", "gpu"])
    call("wfg_freeze")
    call("wfg_list_pauses")
    call("wfg_thaw")
    call("wfg_resume_labels", p_labels=["gpu", "linux"])
    call("wfg_resume_workflow", p_workflow_id="ci")
    call("wfg_reap")
    call("wfg_prune")
    call("wfg_deregister_worker", p_worker_id="w1")
    call("wfg_delete_workflow", p_workflow_id="ci")
    call("wfg_doctor")
    call("wfg_list_cron")
    call("wfg_unschedule_cron")
    call("wfg_set_limit", p_name="jobs_per_workflow", p_value=20_000)
    call("wfg_list_limits")
    call("wfg_health")

    call("wfg_create_token", p_name="ci", p_scope="worker", p_sha256="0" * 64)
    call("wfg_list_tokens")
    call("wfg_authorize", p_function="wfg_claim_job", p_sha256="0" * 64)
    call("wfg_revoke_token", p_name="ci")
    return answers


@pytest.fixture(scope="module")
def answers(new_database, template):
    with engine_on(new_database(template)) as engine:
        engine.set_now(START)
        yield produce(engine)


def test_every_function_is_in_the_tables_with_its_arguments(engine):
    functions = engine.query(
        """
        select p.proname as name,
               coalesce(p.proargnames[:p.pronargs], '{}') as names,
               p.pronargdefaults as defaults,
               array(
                 select format_type(a.type, null)
                   from unnest(p.proargtypes) with ordinality a (type, n)
                  order by a.n
               ) as types
          from pg_proc p
         where p.pronamespace = 'public'::regnamespace and p.proname like 'wfg\\_%'
        """
    )
    assert {row["name"] for row in functions} == {name for name, _, _ in ROWS}

    written = {
        name: [argument.split() for argument in arguments.split(", ") if argument]
        for name, arguments, _ in ROWS
    }
    for row in functions:
        types = [t.replace("timestamp with time zone", "timestamptz") for t in row["types"]]
        arguments = written[row["name"]]
        assert [argument[:2] for argument in arguments] == [
            list(pair) for pair in zip(row["names"], types, strict=True)
        ]
        assert sum("=" in argument for argument in arguments) == row["defaults"], row["name"]


EXAMPLES = [(name, cell[1:-1]) for name, _, cell in ROWS if re.fullmatch(r"`[{\[][^`]*`", cell)]


@pytest.mark.parametrize(("function", "example"), EXAMPLES)
def test_answer_is_the_example_of_the_table(answers, function, example):
    if function in ("wfg_health", "wfg_doctor"):
        example = example.replace("150018", "~")
    assert matches(example, answers[function]), (example, compact(answers[function]))


def test_claim_is_the_example(answers):
    assert matches(SHAPES["Claim"], answers["wfg_claim_job"]), compact(answers["wfg_claim_job"])


def test_run_is_the_example(answers):
    """Its `jobs` shows one of the two."""
    run = json.loads(answers["wfg_get_run"])
    run["jobs"] = run["jobs"][1:]
    assert matches(SHAPES["Run"], json.dumps(run)), compact(json.dumps(run))


def test_pause_is_the_example(answers):
    assert matches(SHAPES["Pause"], answers["wfg_pause_workflow"]), compact(answers["wfg_pause_workflow"])
    listed = json.loads(answers["wfg_list_pauses"])
    assert list(listed) == ["items", "next_cursor"]
    assert listed["items"][0] == json.loads(answers["wfg_pause_workflow"])


def test_limit_is_the_example(answers):
    assert matches(SHAPES["Limit"], answers["wfg_set_limit"]), compact(answers["wfg_set_limit"])
    listed = json.loads(answers["wfg_list_limits"])
    assert list(listed) == ["items", "next_cursor"]
    assert json.loads(answers["wfg_set_limit"]) in listed["items"]


def test_detail_of_a_job_is_the_example(answers):
    assert matches(SHAPES["JobDetail"], answers["wfg_get_job"]), compact(answers["wfg_get_job"])
    member = json.loads(answers["wfg_get_run"])["jobs"][0]
    assert list(json.loads(answers["wfg_get_job"])["job"]) == list(member)


@pytest.mark.parametrize(
    ("function", "shape"),
    [("wfg_list_jobs", "ListedJob"), ("wfg_list_queue", "QueueLane"), ("wfg_list_outcomes", "Outcomes")],
)
def test_item_of_a_list_is_the_example(answers, function, shape):
    (item,) = json.loads(answers[function])["items"]
    assert matches(SHAPES[shape], json.dumps(item)), item


def test_answers_described_in_words_have_the_shape_named(answers):
    parsed = {name: json.loads(text) for name, text in answers.items()}
    workflows = [
        parsed["wfg_create_workflow"],
        parsed["wfg_create_sample_workflow"],
        parsed["wfg_get_status"],
        *parsed["wfg_list_workflows"],
    ]
    assert len(workflows) == 6
    for workflow in workflows:
        assert list(workflow) == WORKFLOW
        assert all(list(job) == JOB for job in workflow["jobs"])
        assert workflow["jobs"]
    assert parsed["wfg_list_workflows"][0]["id"] == "ci"
    assert parsed["wfg_create_sample_workflow"]["id"] == "ci-1"

    claim = json.loads(answers["wfg_claim_job"])
    for other in parsed["wfg_claim_jobs"]:
        assert {part: list(other[part]) for part in other} == {part: list(claim[part]) for part in claim}

    runs = parsed["wfg_list_runs"]
    assert list(runs) == ["items", "next_cursor"]
    assert len(runs["items"]) == 2
    assert all(list(run) == list(parsed["wfg_get_run"]) and run["jobs"] is None for run in runs["items"])

    assert [list(worker) for worker in parsed["wfg_list_workers"]] == [WORKER_INFO]
    assert [list(c) for c in parsed["wfg_list_logs"]] == [LOG_CHUNK] * 2
    assert list(parsed["wfg_read_logs"]) == ["items", "next_cursor"]
    assert [sorted(c) for c in parsed["wfg_read_logs"]["items"]] == [sorted([*LOG_CHUNK, "attempt"])] * 2
    assert parsed["wfg_is_cancelled"] is False


def test_every_function_but_two_answered(answers):
    """wfg_check answers no JSON; wfg_schedule_cron needs pg_cron: tests/test_cron.py."""
    assert set(answers) == {name for name, _, _ in ROWS} - {"wfg_check", "wfg_schedule_cron"}


def test_check_answers_rows_of_the_columns_named(engine):
    columns = re.search(r"rows `\((.*?)\)`", README)
    assert columns is not None
    names = [column.split()[0] for column in columns[1].split(", ")]
    cursor = engine.connection.execute("select * from public.wfg_check()")
    assert [column.name for column in cursor.description] == names


def test_words_that_the_shapes_leave_out(engine):
    """ "In lists of runs `jobs` is null", "null while parents are open, and once the job has ended"."""
    engine.set_now(START)
    engine.put("ci", jobs=CI)
    run_workflow(engine, "ci")
    engine.set_now(after(1))

    jobs = engine.call("wfg_get_run", p_run_id="ci")["jobs"]
    assert [job["ready_at_ms"] is None for job in jobs] == [False, True]
    engine.complete(engine.claim())
    jobs = engine.call("wfg_get_run", p_run_id="ci")["jobs"]
    assert [job["ready_at_ms"] is None for job in jobs] == [True, False]
