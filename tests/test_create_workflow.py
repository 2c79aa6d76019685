"""wfg_create_workflow and wfg_create_sample_workflow: the API's job list."""

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine import Engine, Raw

FIELDS = [
    "id",
    "name",
    "status",
    "command",
    "duration_secs",
    "started_at",
    "depends_on",
    "output",
    "required_labels",
    "max_retries",
    "attempt",
    "metadata",
    "ports",
    "children",
    "collapsed",
]


def listed(key="a", **fields):
    """A job of the list, its required fields and more."""
    return {"id": key, "name": key.upper(), "status": "queued", "command": "true", "depends_on": [], **fields}


def create(engine, *jobs, name="W", trigger="on: push"):
    return engine.call("wfg_create_workflow", p_name=name, p_trigger=trigger, p_jobs=list(jobs))


def problems(engine, jobs):
    """The problems of a job list, as pairs of path and message."""
    diag = engine.fails(
        "wfg_create_workflow",
        status=422,
        slug="invalid_workflow",
        p_name="W",
        p_trigger="t",
        p_jobs=jobs,
    )
    assert engine.query("select id from wfg.workflows") == []
    return [(problem["path"], problem["message"]) for problem in json.loads(diag.message_detail)]


# --- what it answers ---


def test_smallest_list(engine):
    made = create(engine)
    assert list(made) == ["id", "name", "trigger", "jobs"]
    assert uuid.UUID(made["id"]).version == 4
    assert made == {"id": made["id"], "name": "W", "trigger": "on: push", "jobs": []}


def test_defaults_and_order_of_fields(engine):
    [job] = create(engine, listed())["jobs"]
    assert list(job) == FIELDS
    assert job == {
        "id": "a",
        "name": "A",
        "status": "queued",
        "command": "true",
        "duration_secs": None,
        "started_at": None,
        "depends_on": [],
        "output": None,
        "required_labels": [],
        "max_retries": 0,
        "attempt": 0,
        "metadata": {},
        "ports": [],
        "children": None,
        "collapsed": False,
    }


def test_every_field(engine):
    ports = [{"id": "p", "label": "P", "direction": "input", "port_type": "x", "color": None, "more": 1}]
    children = [listed("child", depends_on=["nobody"])]
    job = listed(
        "b",
        command="echo 1 && exit 3 # as it is",
        depends_on=["a"],
        required_labels=["linux", "aws"],
        max_retries=3,
        metadata={"z": 1, "a": {"c": [1.50, None]}},
        ports=ports,
        children=children,
        collapsed=True,
    )
    made = create(engine, listed(), job)["jobs"][1]
    assert {key: made[key] for key in job} == job
    assert json.dumps(made["metadata"]) == json.dumps(job["metadata"])
    assert json.dumps(made["ports"]) == json.dumps(ports)


def test_what_clients_say_about_the_past_is_ignored(engine):
    past = {
        "status": "success",
        "duration_secs": 5,
        "started_at": 1710000000123.0,
        "output": "x",
        "attempt": 4,
    }
    [job] = create(engine, listed(**past))["jobs"]
    assert {key: job[key] for key in past} == {
        "status": "queued",
        "duration_secs": None,
        "started_at": None,
        "output": None,
        "attempt": 0,
    }


@pytest.mark.parametrize("status", ["queued", "running", "success", "failure", "skipped", "cancelled"])
def test_every_known_status_is_accepted(engine, status):
    assert create(engine, listed(status=status))["jobs"][0]["status"] == "queued"


def test_unknown_fields_are_ignored(engine):
    text = json.dumps([listed(color="red", **{"if": "never"})]).replace('"color"', '"color": 1, "color"')
    made = engine.call("wfg_create_workflow", p_name="W", p_trigger="t", p_jobs=Raw(text))
    assert list(made["jobs"][0]) == FIELDS


def test_jobs_keep_their_order(engine):
    made = create(engine, listed("c", depends_on=["b", "a"]), listed("b", depends_on=["a"]), listed("a"))
    assert [job["id"] for job in made["jobs"]] == ["c", "b", "a"]


def test_names_that_would_share_variables_are_no_problem_here(engine):
    create(engine, listed("a-b"), listed("a_b"), listed("c", depends_on=["a-b", "a_b"]))


def test_two_of_the_same_are_two_workflows(engine):
    assert create(engine, listed())["id"] != create(engine, listed())["id"]


def test_it_can_be_run(engine):
    workflow_id = create(engine, listed(), listed("b", depends_on=["a"]))["id"]
    engine.call("wfg_run_workflow", p_workflow_id=workflow_id)
    claim = engine.claim()
    assert (claim["job"]["job_id"], claim["job"]["command"], claim["job"]["env"]) == ("a", "true", {})
    engine.complete(claim)
    engine.complete(engine.claim())
    assert [job["status"] for job in engine.call("wfg_get_status", p_workflow_id=workflow_id)["jobs"]] == [
        "success",
        "success",
    ]


def test_the_definition_can_be_read(engine):
    made = create(engine, listed())
    assert engine.call("wfg_get_workflow", p_workflow_id=made["id"])["definition"] == {
        "name": "W",
        "trigger": "on: push",
        "jobs": [listed()],
    }


# --- what it refuses ---


def without(field):
    return [{key: value for key, value in listed().items() if key != field}]


REFUSED = {
    "an object": ({}, "jobs", "must be a list, found a mapping"),
    "null": (Raw("null"), "jobs", "must be a list, found null"),
    "a job as text": (["a"], "jobs[0]", 'must be a mapping, found the string "a"'),
    "id missing": (without("id"), "jobs[0]", "id is missing"),
    "name missing": (without("name"), "jobs[0]", "name is missing"),
    "status missing": (without("status"), "jobs[0]", "status is missing"),
    "command missing": (without("command"), "jobs[0]", "command is missing"),
    "depends_on missing": (without("depends_on"), "jobs[0]", "depends_on is missing"),
    "id a number": ([listed() | {"id": 1}], "jobs[0].id", "must be a string, found the number 1"),
    "id empty": ([listed() | {"id": ""}], "jobs[0].id", "must be 1 to 200 characters, found 0"),
    "status unknown": (
        [listed(status="done")],
        "jobs[0].status",
        'must be queued or running or success or failure or skipped or cancelled, found the string "done"',
    ),
    "command null": ([listed(command=None)], "jobs[0].command", "must be a string, found null"),
    "command too long": (
        [listed(command="x" * 98305)],
        "jobs[0].command",
        "must be at most 96 KiB, found 98305 bytes",
    ),
    "depends_on text": (
        [listed(depends_on="b")],
        "jobs[0].depends_on",
        'must be a list, found the string "b"',
    ),
    "depends_on null": ([listed(depends_on=None)], "jobs[0].depends_on", "must be a list, found null"),
    "depends_on unknown": ([listed(depends_on=["b"])], "jobs[0].depends_on[0]", 'there is no job "b"'),
    "depends_on itself": ([listed(depends_on=["a"])], "jobs[0].depends_on[0]", "a job cannot need itself"),
    "depends_on twice": (
        [listed(), listed("b", depends_on=["a", "a"])],
        "jobs[1].depends_on[1]",
        '"a" stands 2 times',
    ),
    "a cycle": (
        [listed(depends_on=["b"]), listed("b", depends_on=["a"])],
        "jobs[0].depends_on[0]",
        "the needs form a cycle: a -> b -> a",
    ),
    "an id twice": ([listed(), listed("b"), listed()], "jobs[2].id", '"a" is the id of 2 jobs'),
    "labels null": ([listed(required_labels=None)], "jobs[0].required_labels", "must be a list, found null"),
    "labels too long": (
        [listed(required_labels=["\u00e4" * 200] * 5)],
        "jobs[0].required_labels",
        "must be at most 1900 bytes in all, found 2000",
    ),
    "label null": (
        [listed(required_labels=[None])],
        "jobs[0].required_labels[0]",
        "must be a string, found null",
    ),
    "max_retries a float": (
        [listed(max_retries=1.0)],
        "jobs[0].max_retries",
        "must be a whole number, found the number 1.0",
    ),
    "max_retries negative": (
        [listed(max_retries=-1)],
        "jobs[0].max_retries",
        "must be from 0 to 100, found -1",
    ),
    "max_retries null": (
        [listed(max_retries=None)],
        "jobs[0].max_retries",
        "must be a whole number, found null",
    ),
    "duration_secs": (
        [listed(duration_secs="1")],
        "jobs[0].duration_secs",
        'must be a whole number or null, found the string "1"',
    ),
    "output": ([listed(output=1)], "jobs[0].output", "must be a string or null, found the number 1"),
    "metadata": ([listed(metadata=None)], "jobs[0].metadata", "must be a mapping, found null"),
    "collapsed": ([listed(collapsed=0)], "jobs[0].collapsed", "must be true or false, found the number 0"),
    "ports": ([listed(ports=[{"id": "x", "label": "y"}])], "jobs[0].ports[0]", "direction is missing"),
    "port direction": (
        [listed(ports=[{"id": "x", "label": "y", "direction": "up"}])],
        "jobs[0].ports[0].direction",
        'must be input or output, found the string "up"',
    ),
    "children": (
        [listed(children=[{**listed(), "name": 1}])],
        "jobs[0].children[0].name",
        "must be a string, found the number 1",
    ),
    "a field twice": (
        Raw('[{"id":"a","id":"b","name":"","command":"","status":"queued","depends_on":[]}]'),
        "jobs[0].id",
        'the key "id" stands 2 times',
    ),
}


@pytest.mark.parametrize(("jobs", "path", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(engine, jobs, path, message):
    assert (path, message) in problems(engine, jobs)


def test_only_one_problem_is_found_for_one(engine):
    for jobs, path, message in REFUSED.values():
        if not isinstance(jobs, Raw):
            assert problems(engine, jobs) == [(path, message)]


def test_all_problems_come_at_once(engine):
    jobs = [listed(depends_on=["z"], status="x"), without("command")[0], 5]
    assert [path for path, _ in problems(engine, jobs)] == [
        "jobs[0].status",
        "jobs[0].depends_on[0]",
        "jobs[1]",
        "jobs[1].id",
        "jobs[2]",
    ]


@pytest.mark.parametrize("text", [r'[{"id":"a\u0000"}]', r'[{"\ud800":1}]', '[{"id":1e999999}]'])
def test_what_postgres_cannot_store_is_a_problem(engine, text):
    [(path, message)] = problems(engine, Raw(text))
    assert path == ""
    assert "that Postgres cannot store" in message


scalars = st.none() | st.booleans() | st.integers(-5, 200) | st.floats(allow_nan=False) | st.text(max_size=5)
names = st.sampled_from(["a", "b", "c", "ab", "a-b"])
values = st.recursive(
    scalars | names, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=2)
)
near_jobs = st.fixed_dictionaries(
    {
        "id": names,
        "name": names,
        "status": st.just("queued"),
        "command": names,
        "depends_on": st.lists(names, max_size=2),
    },
    optional=dict.fromkeys([field for field in FIELDS[4:] if field != "depends_on"], values),
)


@pytest.fixture(scope="module")
def shared(new_database, template):
    """One database for all examples: nothing is kept in it."""
    engine = Engine(new_database(template))
    yield engine
    engine.close()


@given(st.lists(near_jobs | values, max_size=4) | values)
def test_no_json_makes_it_fail(shared, jobs):
    """It finds problems, or what can be stored."""
    text = json.dumps(jobs).replace("Infinity", "1e9")
    answer = shared.query("select * from wfg.parse_job_list('W', 't', %s, wfg.limits_in_force())", text)[0]
    assert (answer["definition"] is None) is (answer["problems"] != [])
    if answer["problems"] == []:
        with shared.connection.transaction(force_rollback=True):
            shared.call("wfg_create_workflow", p_name="W", p_trigger="t", p_jobs=Raw(text))


def test_children_within_children_within_children(engine):
    engine.call("wfg_set_limit", p_name="definition_levels", p_value=500)
    job = listed()
    for n in range(240):
        job = listed(f"j{n}", children=[job])
    assert create(engine, job)["jobs"][0]["children"] == job["children"]


@pytest.mark.parametrize(
    ("name", "trigger", "jobs", "detail"),
    [
        (None, "t", [], "p_name: must be 1 to 200 characters, not null"),
        ("", "t", [], "p_name: must be 1 to 200 characters"),
        ("x" * 201, "t", [], "p_name: must be 1 to 200 characters"),
        ("W", None, [], "p_trigger: is missing"),
        ("W", "x" * 201, [], "p_trigger: must be 1 to 200 characters"),
        ("W", "t", None, "p_jobs: is missing"),
    ],
)
def test_arguments_that_are_refused(engine, name, trigger, jobs, detail):
    diag = engine.fails(
        "wfg_create_workflow", status=422, slug="invalid_request", p_name=name, p_trigger=trigger, p_jobs=jobs
    )
    assert diag.message_detail == detail


def test_trigger_may_be_empty(engine):
    assert create(engine, trigger="")["trigger"] == ""


# --- the sample ---


def test_sample(engine):
    made = engine.call("wfg_create_sample_workflow")
    assert (made["id"], made["name"], made["trigger"]) == ("ci-1", "ci.yml", "on: push")
    assert [(job["id"], job["name"], job["depends_on"], job["command"][-1]) for job in made["jobs"]] == [
        ("unit-tests", "Unit Tests", [], "2"),
        ("lint", "Lint", [], "1"),
        ("typecheck", "Typecheck", [], "2"),
        ("build", "Build", ["unit-tests", "lint", "typecheck"], "3"),
        ("deploy-db", "Deploy DB Migrations", ["build"], "1"),
        ("e2e-tests", "E2E Tests", ["build"], "5"),
        ("deploy-preview", "Deploy Preview", ["build"], "1"),
        ("deploy-web", "Deploy Web", ["deploy-db"], "3"),
    ]
    assert all(list(job) == FIELDS for job in made["jobs"])


def test_sample_over_another_ci_1_is_its_next_version(engine):
    engine.put("ci-1", jobs={"a": {"run": "true"}})
    run = engine.start("ci-1")
    engine.call("wfg_create_sample_workflow")
    assert engine.call("wfg_get_workflow", p_workflow_id="ci-1")["version"] == 2
    assert engine.jobs(run) == {"a": "queued"}

    engine.call("wfg_create_sample_workflow")
    assert engine.call("wfg_get_workflow", p_workflow_id="ci-1")["version"] == 2
