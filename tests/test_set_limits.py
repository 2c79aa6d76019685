"""Limits: how large what may be, refused by name; what is stored stays good, and small things do not pay."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.arrange import append, chunk, drain, only
from tests.command_line import run_wfg
from tests.engine import Engine, lease_id
from tests.serving import serving
from tests.test_create_workflow import listed

PAGE = (Path(__file__).parent.parent / "docs" / "limits.md").read_text()
LOOKED_UP = """
  select coalesce(sum(seq_scan + idx_scan), 0)::int as n
    from pg_stat_xact_user_tables
   where relname = 'limits'
"""


def set_limit(engine: Engine, name: str, value: int | None) -> dict[str, Any]:
    return engine.call("wfg_set_limit", p_name=name, p_value=value)


def limits(engine: Engine) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in engine.call("wfg_list_limits")["items"]}


def problems(engine: Engine, definition: Any) -> list[str]:
    found = engine.call("wfg_validate_workflow", p_definition=definition)["problems"]
    return [f"{each['path']}: {each['message']}" for each in found]


def nested(levels: int) -> str:
    """A definition of so many levels of mappings."""
    inner = levels - 3
    return '{"jobs":{"a":{"run":"true","metadata":' + '{"a":' * inner + "1" + "}" * inner + "}}}"


# --- what there is ---


def test_each_is_its_default_until_it_is_set(engine: Engine):
    all_of_them = limits(engine)
    assert len(all_of_them) == 12
    for each in all_of_them.values():
        assert list(each) == ["name", "value", "default", "least", "most", "description"]
        assert each["least"] <= each["value"] == each["default"] <= each["most"]


@pytest.mark.parametrize("way", ["null", "the default", "left out"])
def test_a_limit_is_set_and_is_its_default_again(engine: Engine, way: str):
    assert set_limit(engine, "jobs_per_workflow", 20)["value"] == 20
    assert set_limit(engine, "jobs_per_workflow", 30)["value"] == 30
    assert limits(engine)["jobs_per_workflow"]["value"] == 30
    assert limits(engine)["label_chars"]["value"] == 200

    again = {"null": {"p_value": None}, "the default": {"p_value": 10_000}, "left out": {}}[way]
    assert engine.call("wfg_set_limit", p_name="jobs_per_workflow", **again)["value"] == 10_000
    assert engine.query("select * from wfg.limits") == []


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("jobs_per_workflow", 9, "p_value: must be from 10 to 50000, not 9"),
        ("jobs_per_workflow", 50_001, "p_value: must be from 10 to 50000, not 50001"),
        ("label_chars", -1, "p_value: must be from 36 to 400, not -1"),
        ("jobs_per_workflows", 10, 'p_name: there is no limit "jobs_per_workflows"'),
        ("", None, 'p_name: there is no limit ""'),
        (None, None, "p_name: there is no limit null"),
    ],
)
def test_what_cannot_be_set_is_refused(engine: Engine, name: str | None, value: int | None, detail: str):
    diag = engine.fails("wfg_set_limit", status=422, slug="invalid_request", p_name=name, p_value=value)
    assert diag.message_detail == detail
    assert name != "jobs_per_workflows" or "Did you mean jobs_per_workflow?" in str(diag.message_hint)
    assert engine.query("select * from wfg.limits") == []


def test_a_row_beyond_the_bounds_counts_as_their_end(engine: Engine):
    """One of another revision, say, whose bounds were wider."""
    engine.query("insert into wfg.limits values ('', 'label_chars', 4000), ('', 'jobs_per_workflow', 1)")
    assert [limits(engine)[name]["value"] for name in ("label_chars", "jobs_per_workflow")] == [400, 10]


# --- each is refused by its name, one above it, and not at it ---

DEFINITIONS: dict[str, tuple[Callable[[int], dict[str, Any]], str]] = {
    "jobs_per_workflow": (lambda n: only(*(f"a{k}" for k in range(n))), "jobs: must have at most {} jobs"),
    "needs_per_job": (
        lambda n: {
            **only(*(f"a{k}" for k in range(n))),
            "z": {"run": "true", "needs": [f"a{k}" for k in range(n)]},
        },
        "jobs.z.needs: must have at most {} members",
    ),
    "labels_per_job": (
        lambda n: only("a", labels=[f"l{k}" for k in range(n)]),
        "jobs.a.labels: must have at most {} labels",
    ),
    "label_chars": (lambda n: only("a", labels=["é" * n]), "jobs.a.labels[0]: must be at most {} characters"),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_over_a_limit_is_refused_by_its_name(engine: Engine, name: str):
    jobs_of, message = DEFINITIONS[name]
    least, most = limits(engine)[name]["least"], limits(engine)[name]["most"]
    set_limit(engine, name, least)

    assert problems(engine, {"jobs": jobs_of(least)}) == []
    expected = f"{message.format(least)}, found {least + 1}: limit {name}"
    assert problems(engine, {"jobs": jobs_of(least + 1)}) == [expected]
    (problem,) = engine.call("wfg_validate_workflow", p_definition={"jobs": jobs_of(least + 1)})["problems"]
    assert f"to {most} at most: wfg limits set {name} VALUE" in problem["hint"]

    put = {"p_workflow_id": "wf", "p_definition": {"jobs": jobs_of(least + 1)}}
    diag = engine.fails("wfg_put_workflow", status=422, slug="invalid_workflow", **put)
    assert name in str(diag.message_detail)
    set_limit(engine, name, least + 1)
    assert engine.call("wfg_put_workflow", **put)["version"] == 1


def test_inputs_that_are_declared_are_counted(engine: Engine):
    set_limit(engine, "inputs_per_workflow", 10)
    for count, found in ((10, []), (11, ["inputs: must have at most 10 inputs, found 11"])):
        definition = {"inputs": {f"i{k}": {} for k in range(count)}, "jobs": only("a")}
        assert [text.partition(": limit")[0] for text in problems(engine, definition)] == found


def test_bytes_and_levels_of_a_definition(engine: Engine):
    set_limit(engine, "definition_bytes", 65_536)
    set_limit(engine, "definition_levels", 20)

    assert problems(engine, nested(20)) == []
    assert problems(engine, nested(21)) == [
        ": must be nested at most 20 levels deep: limit definition_levels"
    ]
    for bytes_, found in (
        (65_536, []),
        (65_537, [": must be at most 65536 bytes, found 65537: limit definition_bytes"]),
    ):
        text = '{"jobs":{"a":{"run":"true","metadata":{"a":""}}}}'
        definition = text.replace('""', f'"{"x" * (bytes_ - len(text))}"')
        assert len(definition) == bytes_
        assert problems(engine, definition) == found


def test_a_definition_is_not_deeper_than_clients_can_read(engine: Engine):
    assert problems(engine, nested(250)) == []
    assert problems(engine, nested(251)) == [
        ": must be nested at most 250 levels deep: limit definition_levels"
    ]


@pytest.mark.parametrize(
    ("name", "value", "jobs", "path"),
    [
        ("jobs_per_workflow", 10, [listed(f"a{n}") for n in range(11)], "jobs"),
        ("labels_per_job", 10, [listed("a") | {"required_labels": ["x"] * 11}], "jobs[0].required_labels"),
        ("label_chars", 36, [listed("a") | {"required_labels": ["x" * 37]}], "jobs[0].required_labels[0]"),
        ("needs_per_job", 10, [listed("a") | {"depends_on": ["b"] * 11}], "jobs[0].depends_on"),
        ("definition_levels", 20, '[{"metadata":' + "[" * 20 + "]" * 20 + "}]", ""),
        ("definition_bytes", 65_536, [listed("a") | {"command": "x" * 65_536}], ""),
    ],
)
def test_the_list_of_jobs_has_the_same_limits(engine: Engine, name: str, value: int, jobs: Any, path: str):
    set_limit(engine, name, value)
    call = {"p_name": "n", "p_trigger": "t", "p_jobs": jobs}
    diag = engine.fails("wfg_create_workflow", status=422, slug="invalid_workflow", **call)
    named = [
        each["path"] for each in json.loads(str(diag.message_detail)) if f"limit {name}" in each["message"]
    ]
    assert named == [path]


@pytest.fixture
def greeting(engine: Engine) -> Engine:
    """An engine with the workflow wf, of one input and one job with a retry."""
    engine.put(inputs={"who": {"type": "string"}}, jobs=only("a", retries=1))
    return engine


def test_bytes_of_inputs(greeting: Engine):
    def inputs(bytes_: int) -> dict[str, str]:
        return {"who": "x" * (bytes_ - len('{"who": ""}'))}

    detail = "must be at most {} bytes, found {}: limit run_input_bytes"
    refused = {"status": 422, "slug": "invalid_request", "p_workflow_id": "wf"}
    for limit in (1_048_576, 1024):
        set_limit(greeting, "run_input_bytes", limit)
        for function in ("wfg_start_run", "wfg_run_workflow"):
            diag = greeting.fails(function, **refused, p_inputs=inputs(limit + 1))
            assert diag.message_detail == f"p_inputs: {detail.format(limit, limit + 1)}"
            assert "wfg limits set run_input_bytes VALUE" in str(diag.message_hint)
        diag = greeting.fails("wfg_start_runs", **refused, p_runs=[{}, {"inputs": inputs(limit + 1)}])
        assert diag.message_detail == f"p_runs[1].inputs: {detail.format(limit, limit + 1)}"
        assert greeting.query("select count(*)::int as n from wfg.runs") == [{"n": 0 if limit > 1024 else 1}]
        greeting.start(inputs=inputs(limit))


@pytest.mark.parametrize("limit", [1024, 1_048_576])
def test_bytes_of_outputs(greeting: Engine, limit: int):
    set_limit(greeting, "job_output_bytes", limit)
    greeting.start()
    claim = greeting.claim()
    outputs = {"n": "x" * (limit - len('{"n": ""}'))}
    larger = {"n": outputs["n"] + "x"}
    detail = f"must be at most {limit} bytes, found {limit + 1}: limit job_output_bytes"

    refused = {"status": 422, "slug": "invalid_request"}
    diag = greeting.fails("wfg_complete_job", **refused, p_lease_id=lease_id(claim), p_outputs=larger)
    assert diag.message_detail == f"p_outputs: {detail}"
    reports = [{"lease_id": lease_id(claim), "outcome": "success", "outputs": larger}]
    diag = greeting.fails("wfg_report_jobs", **refused, p_reports=reports)
    assert diag.message_detail == f"p_reports[0].outputs: {detail}"
    assert greeting.complete(claim, outputs)["run"] == "success"


def test_number_of_outputs(greeting: Engine):
    set_limit(greeting, "outputs_per_job", 128)
    greeting.start()
    claim = greeting.claim()
    outputs = {f"n{n}": "" for n in range(129)}
    refused = {"status": 422, "slug": "invalid_request", "p_lease_id": lease_id(claim)}
    diag = greeting.fails("wfg_complete_job", **refused, p_outputs=outputs)
    assert diag.message_detail == "p_outputs: must be at most 128 outputs, found 129: limit outputs_per_job"
    outputs.pop("n0")
    assert greeting.complete(claim, outputs)["run"] == "success"


def test_so_few_bytes_as_are_not_looked_at_hold_no_more_outputs_than_any_limit(engine: Engine):
    (row,) = engine.query(
        "select count(*)::int as outputs from ("
        "  select sum(length(to_json(chr(n))::text) + 6) over (order by length(to_json(chr(n))::text), n)"
        "         as bytes from generate_series(32, 126) n) k where bytes <= 1024"
    )
    assert 90 < row["outputs"] < limits(engine)["outputs_per_job"]["least"]


@pytest.mark.parametrize("function", ["wfg_claim_job", "wfg_claim_jobs", "wfg_register_worker"])
def test_labels_of_a_worker(engine: Engine, function: str):
    more = {"wfg_claim_jobs": {"p_limit": 1}}.get(function, {})

    def refusal(labels: list[str]) -> str | None:
        refused = {"status": 422, "slug": "invalid_request", "p_worker_id": "w", **more}
        return engine.fails(function, **refused, p_labels=labels).message_detail

    many = [f"l{n}" for n in range(101)]
    assert refusal(many) == "p_labels: must be at most 100 labels, found 101: limit labels_per_worker"
    assert (
        refusal(["x" * 401]) == "p_labels: must be at most 200 characters each, found 401: limit label_chars"
    )
    assert (
        refusal(["x" * 201]) == "p_labels: must be at most 200 characters each, found 201: limit label_chars"
    )
    engine.call(function, p_worker_id="w", p_labels=many[:100], **more)

    set_limit(engine, "labels_per_worker", 10)
    set_limit(engine, "label_chars", 400)
    assert refusal(many[:11]) == "p_labels: must be at most 10 labels, found 11: limit labels_per_worker"
    engine.call(function, p_worker_id="w", p_labels=["x" * 400], **more)


# --- what was there before a limit was lowered ---


def test_what_is_stored_runs_as_ever(engine: Engine):
    jobs = only(*(f"a{n}" for n in range(20)), retries=1, labels=["y" * 100])
    file = {"inputs": {"who": {"type": "string", "default": "x" * 2000}}, "jobs": jobs}
    put = {"p_workflow_id": "wf", "p_definition": file}
    engine.call("wfg_put_workflow", **put)
    for name, limit in limits(engine).items():
        set_limit(engine, name, limit["least"])

    run_id = engine.start()
    worker: dict[str, Any] = {"labels": ["y" * 36]}
    assert engine.claim(**worker) is None
    engine.fails("wfg_claim_job", status=422, slug="invalid_request", p_worker_id="w", p_labels=["y" * 100])
    set_limit(engine, "label_chars", 100)
    worker = {"labels": ["y" * 100]}
    claim = engine.claim(**worker)
    set_limit(engine, "label_chars", 36)
    engine.fail(claim, retryable=True)
    assert len(drain(engine, **worker)) == 20
    rerun = engine.call("wfg_rerun_run", p_run_id=run_id)
    assert engine.state(rerun["run_id"]) == "queued"
    assert len(drain(engine, **worker)) == 20

    # The same file is no news; any other is.
    assert engine.call("wfg_put_workflow", **put)["changed"] is False
    other = {**put, "p_definition": {**file, "env": {"A": "1"}}}
    diag = engine.fails("wfg_put_workflow", status=422, slug="invalid_workflow", **other)
    assert {"limit jobs_per_workflow", "limit label_chars"} <= set(
        re.findall(r"limit [a-z_]+", str(diag.message_detail))
    )
    assert len(engine.call("wfg_list_runs", p_workflow_id="wf")["items"]) == 2
    engine.call("wfg_delete_workflow", p_workflow_id="wf")
    engine.fails("wfg_put_workflow", status=422, slug="invalid_workflow", **put)


def test_the_same_file_is_no_news_by_its_own_name_either(engine: Engine):
    file = {"name": "named", "jobs": only(*(f"a{n}" for n in range(20)))}
    put = {"p_workflow_id": None, "p_definition": file}
    engine.call("wfg_put_workflow", **put)
    set_limit(engine, "jobs_per_workflow", 10)

    assert engine.call("wfg_put_workflow", **put)["changed"] is False
    engine.fails(
        "wfg_put_workflow", status=422, slug="invalid_workflow", p_workflow_id="b", p_definition=file
    )
    broken = {**file, "name": "a\0b", "jobs": {**file["jobs"], "b": {"needs": "c"}}}
    for definition in (broken, {"jobs": file["jobs"]}, []):
        refused = {"p_workflow_id": None, "p_definition": definition}
        engine.fails("wfg_put_workflow", status=422, slug="invalid_workflow", **refused)


def test_a_start_that_is_repeated_finds_its_run(greeting: Engine):
    start = {"inputs": {"who": "x" * 2000}, "idempotency_key": "k"}
    run_id = greeting.start(**start)
    set_limit(greeting, "run_input_bytes", 1024)

    assert greeting.start(**start) == run_id
    (answer,) = greeting.call("wfg_start_runs", p_workflow_id="wf", p_runs=[start])
    assert (answer["run_id"], answer["created"]) == (run_id, False)


def test_a_worker_whose_labels_are_known_claims_on(engine: Engine):
    labels = [f"l{n}" for n in range(20)]
    engine.claim(labels=labels)
    set_limit(engine, "labels_per_worker", 10)

    engine.put(jobs=only("a", labels=["l1"]))
    engine.start()
    assert engine.claim(worker="other", labels=reversed(labels)) is not None
    engine.call("wfg_register_worker", p_worker_id="other", p_labels=labels)


def test_what_the_engine_brings_along_fits_the_least(engine: Engine):
    for name, limit in limits(engine).items():
        set_limit(engine, name, limit["least"])
    engine.call("wfg_create_sample_workflow")
    run_id = engine.start("ci-1")
    assert len(drain(engine, labels=["!unlabeled", "linux"])) == 0
    assert len(drain(engine)) == 8
    assert engine.state(run_id) == "success"


# --- logs ---

MIB = 1024 * 1024


def log(engine: Engine) -> list[tuple[int, str]]:
    rows = engine.query("select sequence::int, left(data, 5) as head from wfg.log_chunks order by 1")
    return [(row["sequence"], row["head"]) for row in rows]


def test_a_log_ends_at_its_limit_and_goes_on_when_that_is_raised(greeting: Engine):
    set_limit(greeting, "job_log_bytes", MIB)
    greeting.start()
    claim = greeting.claim()
    assert claim is not None
    whole, cut = {"accepted": 1, "truncated": False}, {"accepted": 0, "truncated": True}

    assert append(greeting, claim, chunk(claim, 0, "x" * (MIB - 1))) == whole
    assert append(greeting, claim, chunk(claim, 1, "xx")) == cut
    assert append(greeting, claim, chunk(claim, 2, "x")) == cut
    assert log(greeting) == [(0, "xxxxx"), (1, "[wfg:")]

    set_limit(greeting, "job_log_bytes", 2 * MIB)
    assert append(greeting, claim, chunk(claim, 3, "more ")) == whole
    assert append(greeting, claim, chunk(claim, 4, "again"), chunk(claim, 5, "x" * MIB))["accepted"] == 1
    assert append(greeting, claim, chunk(claim, 6, "no")) == cut
    assert log(greeting)[2:] == [(3, "more "), (4, "again"), (5, "[wfg:")]
    (marker,) = greeting.query("select data from wfg.log_chunks where sequence = 5")
    assert f"longer than {2 * MIB} bytes" in marker["data"]
    greeting.check()


def test_a_log_that_is_longer_than_a_lowered_limit_ends_with_the_marker(greeting: Engine):
    greeting.start()
    claim = greeting.claim()
    assert claim is not None
    append(greeting, claim, chunk(claim, 0, "x" * 3 * MIB))
    set_limit(greeting, "job_log_bytes", MIB)

    for n in (1, 2, 3):
        assert append(greeting, claim, chunk(claim, n, "x")) == {"accepted": 0, "truncated": True}
    assert log(greeting) == [(0, "xxxxx"), (1, "[wfg:")]
    set_limit(greeting, "job_log_bytes", 2 * MIB)
    assert append(greeting, claim, chunk(claim, 4, "x"))["truncated"]
    set_limit(greeting, "job_log_bytes", None)
    assert not append(greeting, claim, chunk(claim, 5, "x"))["truncated"]


# --- what it costs, and whom it blocks ---


def looked_up(engine: Engine, *calls: tuple[str, dict[str, Any]]) -> int:
    """How often the table of limits was read by these calls."""
    with engine.connection.transaction():
        (before,) = engine.query(LOOKED_UP)
        for function, params in calls:
            engine.call(function, **params)
        (after,) = engine.query(LOOKED_UP)
    return after["n"] - before["n"]


def test_what_is_small_looks_at_no_limit(greeting: Engine):
    """Claims never do, once their labels are known."""
    greeting.put("many", jobs=only(*(f"a{n}" for n in range(8))))
    labels = [f"l{n}" for n in range(50)]
    greeting.claim(labels=labels)
    start = {"p_workflow_id": "wf", "p_inputs": {"who": "x" * 1013}}
    claim = {"p_worker_id": "w1", "p_labels": labels}
    small = {"n": "x" * 1015}

    assert (
        looked_up(
            greeting, ("wfg_start_run", start), ("wfg_start_runs", {"p_workflow_id": "wf", "p_runs": [{}]})
        )
        == 0
    )
    assert looked_up(greeting, ("wfg_claim_job", claim), ("wfg_claim_jobs", {**claim, "p_limit": 1})) == 0
    greeting.start("many")
    first, second, third = greeting.claim_many(3, labels=labels)
    assert (
        looked_up(
            greeting,
            ("wfg_append_logs", {"p_lease_id": lease_id(first), "p_chunks": [chunk(first)]}),
            ("wfg_complete_job", {"p_lease_id": lease_id(first), "p_outputs": small}),
            (
                "wfg_report_jobs",
                {"p_reports": [{"lease_id": lease_id(second), "outcome": "success", "outputs": small}]},
            ),
        )
        == 0
    )

    # One byte more is looked at.
    assert looked_up(greeting, ("wfg_start_run", {**start, "p_inputs": {"who": "x" * 1014}})) == 1
    larger = {"p_lease_id": lease_id(third), "p_outputs": {"n": "x" * 1016}}
    assert looked_up(greeting, ("wfg_complete_job", larger)) == 2
    assert looked_up(greeting, ("wfg_claim_job", {**claim, "p_labels": ["new"]})) == 2


def test_neither_waits_for_the_other(greeting: Engine, connect: Callable[[], Engine]):
    owner = connect()
    owner.query("set lock_timeout = '1s'")
    greeting.query("set lock_timeout = '1s'")
    large = {"inputs": {"who": "x" * 2000}}

    with greeting.connection.transaction():
        greeting.start(**large)
        set_limit(owner, "run_input_bytes", 1024)
    with owner.connection.transaction():
        set_limit(owner, "run_input_bytes", None)
        with pytest.raises(psycopg.Error) as caught:
            greeting.start(**large)  # it is not committed
        assert caught.value.sqlstate == "PT422"
        assert greeting.claim() is not None
    greeting.start(**large)


# --- the doors and the page ---


def test_limits_over_http_and_on_the_command_line(engine: Engine, database: str):
    with serving(database) as http:
        assert http.get("/api/limits").json() == engine.call("wfg_list_limits")
        refused = http.post("/rest/v1/rpc/wfg_set_limit", json={"p_name": "label_chars", "p_value": 1})
        assert (refused.status_code, refused.json()["message"]) == (403, "scope_missing")
    env: dict[str, str | None] = {"DATABASE_URL": database}
    assert json.loads(run_wfg("limits", "--json", env=env).stdout) == engine.call("wfg_list_limits")
    said = run_wfg("limits", "set", "label_chars", "100", "--json", env=env).stdout
    assert json.loads(said) == limits(engine)["label_chars"]
    wrong = run_wfg("limits", "set", "label_char", "100", env=env)
    assert (wrong.exit_code, "Did you mean label_chars?" in wrong.stderr) == (1, True)
    assert run_wfg("limits", "set", "label_chars", "many", env=env).exit_code == 2
    assert "DATABASE_URL" in run_wfg("limits").stderr
    for options in (["--database-url", "other"], ["--json"]):
        misplaced = run_wfg("limits", *options, "reset", "label_chars", env=env)
        assert (misplaced.exit_code, "after reset" in misplaced.stderr) == (2, True)
    assert limits(engine)["label_chars"]["value"] == 100


def test_the_commands_of_the_page_work(engine: Engine, database: str):
    (block,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    said = [
        run_wfg(*shlex.split(line, comments=True)[1:], env={"DATABASE_URL": database})
        for line in block.splitlines()
    ]
    assert [done.exit_code for done in said] == [0, 0, 0]
    table, was_set, was_reset = (done.stdout for done in said)
    assert table.splitlines()[3].split("\t")[:5] == ["jobs_per_workflow", "10000", "10000", "10", "50000"]
    assert (was_set, was_reset) == ("jobs_per_workflow: 20000\n", "jobs_per_workflow: 10000\n")


def test_the_table_of_the_page_is_what_the_function_says(engine: Engine):
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)
    keys = ("name", "default", "least", "most", "description")
    assert rows == [tuple(str(each[key]) for key in keys) for each in limits(engine).values()]


# --- what the most were tried with ---


@pytest.mark.nightly
def test_a_workflow_of_as_many_jobs_as_may_be_runs_to_its_end(engine: Engine):
    most = limits(engine)["jobs_per_workflow"]["most"]
    set_limit(engine, "jobs_per_workflow", most)
    set_limit(engine, "needs_per_job", most)
    names = [f"a{n}" for n in range(most - 1)]
    engine.put(jobs={**only(*names), "z": {"run": "true", "needs": names}})
    run_id = engine.start()
    assert len(drain(engine)) == most
    assert engine.state(run_id) == "success"
    engine.check()
    assert engine.call("wfg_prune", p_older_than_secs=0)["runs"] == 1


@pytest.mark.nightly
def test_a_definition_as_large_and_as_deep_as_may_be_is_stored(engine: Engine):
    of = limits(engine)
    for name in ("definition_bytes", "definition_levels", "inputs_per_workflow"):
        set_limit(engine, name, of[name]["most"])
    assert engine.call("wfg_put_workflow", p_workflow_id="deep", p_definition=nested(500))["version"] == 1
    assert len(engine.call("wfg_get_workflow", p_workflow_id="deep")["jobs"]) == 1
    assert len(engine.call("wfg_list_workflows")) == 1

    definition = {"jobs": only(*(f"a{n}" for n in range(660)), metadata={"x": "y" * 100_000})}
    assert 66_000_000 < len(json.dumps(definition)) < of["definition_bytes"]["most"]
    assert engine.put("large", **definition)["version"] == 1
    assert engine.put("large", **definition)["changed"] is False
    run_id = engine.start("large")
    assert len(drain(engine)) == 660
    assert engine.state(run_id) == "success"

    inputs = {f"i{n}": {"type": "string", "default": "x"} for n in range(5000)}
    engine.put("inputs", inputs=inputs, jobs=only(*(f"a{n}" for n in range(20))))
    run_id = engine.start("inputs", inputs=dict.fromkeys(inputs, "y"))
    assert len(drain(engine)) == 20
    assert engine.state(run_id) == "success"


@pytest.mark.nightly
def test_inputs_outputs_and_logs_as_large_as_may_be(engine: Engine):
    for name in ("run_input_bytes", "job_output_bytes", "outputs_per_job", "job_log_bytes"):
        set_limit(engine, name, limits(engine)[name]["most"])
    engine.put(
        inputs={"who": {"type": "string"}},
        jobs={**only("a"), "b": {"run": "true", "needs": "a"}, "c": {"run": "true", "needs": "b"}},
    )
    who = "x" * (4 * MIB - len('{"who": ""}'))
    run_id = engine.start(inputs={"who": who})
    a = engine.claim(ttl=3600)
    assert a is not None
    assert a["job"]["inputs"] == {"who": who}
    assert len(engine.call("wfg_list_runs")["items"]) == 1
    for n in range(63):
        append(engine, a, chunk(a, n, "\x01" * MIB))
    assert len(engine.call("wfg_list_logs", p_workflow_id=run_id, p_job_id="a")) == 63
    big = "x" * (16 * MIB - len('{"big": ""}'))
    engine.complete(a, {"big": big})
    b = engine.claim(ttl=3600)
    assert b is not None
    assert b["job"]["upstream_omitted"] == ["a"]
    assert engine.call("wfg_get_outputs", p_run_id=run_id, p_job_id="a") == {"big": big}
    engine.complete(b, {f"n{n}": "x" for n in range(100_000)})
    c = engine.claim(ttl=3600)
    assert c is not None
    assert len(c["job"]["upstream_outputs"]["b"]) == 100_000
    assert engine.complete(c)["run"] == "success"
