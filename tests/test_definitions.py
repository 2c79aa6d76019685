"""What a workflow file may say: wfg_validate_workflow, and what wfg_get_workflow makes of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.arrange import incompressible
from tests.engine import Engine, Raw

# --- reading the answers ---


def problems(engine, definition, **params):
    """The problems of a definition, as pairs of path and message."""
    answer = engine.call("wfg_validate_workflow", p_definition=definition, **params)
    assert answer["valid"] is (answer["problems"] == [])
    assert all(list(problem) == ["path", "message", "hint"] for problem in answer["problems"])
    assert all(problem["hint"] for problem in answer["problems"] + answer["warnings"])
    return [(problem["path"], problem["message"]) for problem in answer["problems"]]


def normal(engine, definition, **params):
    """The normal form of a definition without problems."""
    engine.call("wfg_put_workflow", p_workflow_id="wf", p_definition=definition, **params)
    return engine.query("select definition from wfg.workflow_versions order by id desc limit 1")[0][
        "definition"
    ]


def job(engine, **keys):
    """The normal form of one job."""
    return normal(engine, {"jobs": {"a": {"run": "true", **keys}}})["jobs"][0]


def with_job(**keys):
    return {"jobs": {"a": {"run": "true", **keys}}}


def graph(**needs):
    return {"jobs": {key: {"run": "true", "needs": value} for key, value in needs.items()}}


# --- what is accepted ---


def test_smallest_file(engine):
    assert normal(engine, {"jobs": {}}) == {"name": "wf", "trigger": "manual", "inputs": [], "jobs": []}


def test_defaults_of_a_job(engine):
    assert job(engine) == {
        "key": "a",
        "name": "a",
        "needs": [],
        "labels": [],
        "priority": 0,
        "retries": 0,
        "lost_retries": 0,
        "backoff": {"kind": "none"},
        "timeout_secs": None,
        "env": {},
        "script": "set -e\ntrue",
        "command": "set -e\ntrue",
        "group": None,
        "metadata": {},
        "ports": [],
        "children": None,
        "collapsed": False,
    }


def test_every_key_of_a_job(engine):
    definition = {
        "jobs": {
            "b": {"run": "true"},
            "a": {
                "name": "A",
                "needs": ["b"],
                "run": "make",
                "env": {"X": "1"},
                "labels": ["linux", "gpu", "linux"],
                "retries": 100,
                "lost_retries": 1,
                "backoff": {"exponential": {"base": 2, "max": 60, "jitter": 0.5}},
                "timeout": 604800,
                "priority": -100,
                "group": "g",
                "metadata": {"deep": [{"er": [[[]]]}]},
            },
        }
    }
    made = normal(engine, definition)["jobs"][1]
    assert {
        key: made[key] for key in made if key not in ("script", "command", "ports", "children", "collapsed")
    } == {
        "key": "a",
        "name": "A",
        "needs": ["b"],
        "labels": ["linux", "gpu", "linux"],
        "priority": -100,
        "retries": 100,
        "lost_retries": 1,
        "backoff": {"kind": "exponential", "base_secs": 2, "max_secs": 60, "jitter": 0.5},
        "timeout_secs": 604800,
        "env": {"X": "1"},
        "group": "g",
        "metadata": {"deep": [{"er": [[[]]]}]},
    }


@pytest.mark.parametrize(
    ("on", "trigger"),
    [
        ("push", "on: push"),
        (["push", "pull_request"], "on: [push, pull_request]"),
        (["push"], "on: [push]"),
        ({"push": None, "schedule": [{"cron": "* * * * *"}]}, "on: [push, schedule]"),
    ],
)
def test_trigger_is_display_text(engine, on, trigger):
    assert normal(engine, {"on": on, "jobs": {}})["trigger"] == trigger


@pytest.mark.parametrize(("needs", "made"), [("b", ["b"]), (["b"], ["b"]), ([], []), (None, [])])
def test_needs_is_a_name_a_list_or_null(engine, needs, made):
    assert normal(engine, graph(b=None, a=needs))["jobs"][1]["needs"] == made


@pytest.mark.parametrize(
    ("backoff", "made"),
    [
        ("none", {"kind": "none"}),
        ({"fixed": 5}, {"kind": "fixed", "base_secs": 5}),
        (
            {"exponential": {"base": 2}},
            {"kind": "exponential", "base_secs": 2, "max_secs": 3600, "jitter": 0},
        ),
        (
            {"exponential": {"base": 2, "max": 2, "jitter": 1}},
            {"kind": "exponential", "base_secs": 2, "max_secs": 2, "jitter": 1},
        ),
    ],
)
def test_backoffs(engine, backoff, made):
    assert job(engine, backoff=backoff)["backoff"] == made


def test_env_values_keep_their_source_text(engine):
    made = normal(
        engine,
        Raw(
            '{"env":{"A":1.10,"B":true,"C":"x","D":1e3,"E":-0},"jobs":{"a":{"run":"true","env":{"C":"y","F":""}}}}'
        ),
    )
    assert made["jobs"][0]["env"] == {"A": "1.10", "B": "true", "C": "y", "D": "1e3", "E": "-0", "F": ""}


def test_run_may_be_a_shell_word_that_yaml_takes_for_a_boolean(engine):
    assert job(engine, run=True)["script"] == "set -e\ntrue"


def test_inputs(engine):
    inputs = {
        "target": {"type": "choice", "options": ["dev", "prod"], "default": "dev", "description": "Where to"},
        "count": {"type": "number", "default": 1.5},
        "dry": {"type": "boolean", "default": False},
        "note": {"required": True},
        "any": {},
    }
    assert normal(engine, {"inputs": inputs, "jobs": {}})["inputs"] == [
        {
            "name": "target",
            "type": "choice",
            "default": "dev",
            "required": False,
            "description": "Where to",
            "options": ["dev", "prod"],
        },
        {
            "name": "count",
            "type": "number",
            "default": 1.5,
            "required": False,
            "description": None,
            "options": [],
        },
        {
            "name": "dry",
            "type": "boolean",
            "default": False,
            "required": False,
            "description": None,
            "options": [],
        },
        {
            "name": "note",
            "type": "string",
            "default": None,
            "required": True,
            "description": None,
            "options": [],
        },
        {
            "name": "any",
            "type": "string",
            "default": None,
            "required": False,
            "description": None,
            "options": [],
        },
    ]


def test_names_may_be_in_any_script(engine):
    key = "Übersicht – データ 🚀.v1/x"
    made = normal(engine, {"name": key, "jobs": {key: {"run": "true"}, "b": {"run": "true", "needs": key}}})
    assert (made["name"], made["jobs"][0]["key"], made["jobs"][1]["needs"]) == (key, key, [key])


def test_escapes_that_only_look_like_a_nul_are_text(engine):
    made = normal(engine, Raw(r'{"jobs":{"a":{"run":"echo \\u0000 \\\\ \ud83d\ude00"}}}'))
    assert made["jobs"][0]["script"] == "set -e\necho \\u0000 \\\\ 😀"


# --- what is refused: a path, and what the message says ---

REFUSED = {
    # the file
    "a list": ([], "", "must be a mapping, found a list"),
    "text": (Raw('"jobs"'), "", 'must be a mapping, found the string "jobs"'),
    "null": (Raw("null"), "", "must be a mapping, found null"),
    "no jobs": ({}, "", "jobs is missing"),
    "jobs as a list": ({"jobs": []}, "jobs", "must be a mapping, found a list"),
    "jobs null": ({"jobs": None}, "jobs", "must be a mapping, found null"),
    "unknown key": ({"jobs": {}, "nmae": "x"}, "nmae", 'unknown key "nmae"'),
    "concurrency": ({"jobs": {}, "concurrency": "x"}, "concurrency", "concurrency is not supported yet"),
    "name as a number": ({"jobs": {}, "name": 5}, "name", "must be a string, found the number 5"),
    "empty name": ({"jobs": {}, "name": ""}, "name", "must be 1 to 200 characters, found 0"),
    "long name": ({"jobs": {}, "name": "x" * 201}, "name", "must be 1 to 200 characters, found 201"),
    "on as a number": (
        {"jobs": {}, "on": 5},
        "on",
        "must be a string or a list or a mapping, found the number 5",
    ),
    "on a list of numbers": ({"jobs": {}, "on": ["a", 5]}, "on[1]", "must be a string, found the number 5"),
    # keys met twice
    "a key twice": (Raw('{"jobs":{},"name":"a","name":"b"}'), "name", 'the key "name" stands 2 times'),
    "a job twice": (
        Raw('{"jobs":{"a":{"run":"x"},"a":{"run":"y"}}}'),
        "jobs.a",
        'the key "a" stands 2 times',
    ),
    "a key twice, once escaped": (
        Raw('{"jobs":{"a":{"run":"x","\\u0072un":"y"}}}'),
        "jobs.a.run",
        'the key "run" stands 2 times',
    ),
    "a variable three times": (
        Raw('{"env":{"A":"1","A":"2","A":"3"},"jobs":{}}'),
        "env.A",
        'the key "A" stands 3 times',
    ),
    # env
    "env as a list": ({"env": ["A=1"], "jobs": {}}, "env", "must be a mapping, found a list"),
    "env value null": (
        with_job(env={"A": None}),
        "jobs.a.env.A",
        "must be a string or a number or true or false, found null",
    ),
    "env value a list": (
        with_job(env={"A": []}),
        "jobs.a.env.A",
        "must be a string or a number or true or false, found a list",
    ),
    "env name with a dash": (
        with_job(env={"A-B": "1"}),
        "jobs.a.env.A-B",
        '"A-B" cannot be the name of an environment variable',
    ),
    "env name with a newline": (
        with_job(env={"A\n": "1"}),
        'jobs.a.env["A\\n"]',
        '"A\\n" cannot be the name of an environment variable',
    ),
    "env name not ASCII": (
        {"env": {"Ä": "1"}, "jobs": {}},
        "env.Ä",
        '"Ä" cannot be the name of an environment variable',
    ),
    "env value too long": (
        with_job(env={"A": "ä" * 16385}),
        "jobs.a.env.A",
        "must be at most 32 KiB, found 32770 bytes",
    ),
    # a job
    "job null": ({"jobs": {"a": None}}, "jobs.a", "must be a mapping, found null"),
    "empty key": ({"jobs": {"": {"run": "x"}}}, 'jobs[""]', "its name must be 1 to 200 characters, found 0"),
    "key with a dot": ({"jobs": {"a.b": {"run": "x", "rum": 1}}}, 'jobs["a.b"].rum', 'unknown key "rum"'),
    "retry": (with_job(retry=3), "jobs.a.retry", 'unknown key "retry"'),
    "if": (with_job(**{"if": "always()"}), "jobs.a.if", "if is not supported yet"),
    "uses": (with_job(uses="x"), "jobs.a.uses", "uses is not supported yet"),
    "strategy": (with_job(strategy={}), "jobs.a.strategy", "strategy is not supported yet"),
    "services": (with_job(services={}), "jobs.a.services", "services is not supported yet"),
    "container": (with_job(container="x"), "jobs.a.container", "container is not supported yet"),
    "runs-on": (with_job(**{"runs-on": "x"}), "jobs.a.runs-on", 'unknown key "runs-on"'),
    "labels as text": (with_job(labels="linux"), "jobs.a.labels", 'must be a list, found the string "linux"'),
    "labels null": (with_job(labels=None), "jobs.a.labels", "must be a list, found null"),
    "label a number": (with_job(labels=[1]), "jobs.a.labels[0]", "must be a string, found the number 1"),
    "label empty": (with_job(labels=[""]), "jobs.a.labels[0]", "must not be empty"),
    "101 labels": (
        with_job(labels=["x"] * 101),
        "jobs.a.labels",
        "must have at most 100 labels, found 101: limit labels_per_job",
    ),
    "labels too long": (
        with_job(labels=incompressible(19, 101)),
        "jobs.a.labels",
        "must be at most 1900 bytes in all, found 1919",
    ),
    "retries as text": (
        with_job(retries="3"),
        "jobs.a.retries",
        'must be a whole number, found the string "3"',
    ),
    "retries negative": (with_job(retries=-1), "jobs.a.retries", "must be from 0 to 100, found -1"),
    "retries too many": (with_job(retries=101), "jobs.a.retries", "must be from 0 to 100, found 101"),
    "retries a fraction": (
        with_job(retries=1.5),
        "jobs.a.retries",
        "must be a whole number, found the number 1.5",
    ),
    "retries huge": (with_job(retries=10**30), "jobs.a.retries", f"must be from 0 to 100, found {10**30}"),
    "lost retries": (
        with_job(lost_retries=True),
        "jobs.a.lost_retries",
        "must be a whole number, found true",
    ),
    "timeout 0": (with_job(timeout=0), "jobs.a.timeout", "must be from 1 to 604800, found 0"),
    "timeout too long": (
        with_job(timeout=604801),
        "jobs.a.timeout",
        "must be from 1 to 604800, found 604801",
    ),
    "priority": (with_job(priority=101), "jobs.a.priority", "must be from -100 to 100, found 101"),
    "group": (with_job(group=1), "jobs.a.group", "must be a string, found the number 1"),
    "metadata": (with_job(metadata=[]), "jobs.a.metadata", "must be a mapping, found a list"),
    # what runs
    "neither run nor steps": ({"jobs": {"a": {}}}, "jobs.a", "has neither run nor steps"),
    "no steps": ({"jobs": {"a": {"steps": []}}}, "jobs.a", "has neither run nor steps"),
    "run and steps": (with_job(steps=[{"run": "x"}]), "jobs.a", "has both run and steps"),
    "run empty": (with_job(run=" \n\t"), "jobs.a.run", "is empty"),
    "run a number": (with_job(run=5), "jobs.a.run", "must be a string or true or false, found the number 5"),
    "run too long": (with_job(run="x" * 98305), "jobs.a.run", "must be at most 96 KiB, found 98305 bytes"),
    "steps a mapping": ({"jobs": {"a": {"steps": {}}}}, "jobs.a.steps", "must be a list, found a mapping"),
    "step a string": (
        {"jobs": {"a": {"steps": ["make"]}}},
        "jobs.a.steps[0]",
        'must be a mapping, found the string "make"',
    ),
    "step without run": ({"jobs": {"a": {"steps": [{"name": "x"}]}}}, "jobs.a.steps[0]", "run is missing"),
    "step run empty": ({"jobs": {"a": {"steps": [{"run": ""}]}}}, "jobs.a.steps[0].run", "is empty"),
    "step unknown key": (
        {"jobs": {"a": {"steps": [{"run": "x", "evn": {}}]}}},
        "jobs.a.steps[0].evn",
        'unknown key "evn"',
    ),
    "step if": (
        {"jobs": {"a": {"steps": [{"run": "x", "if": "y"}]}}},
        "jobs.a.steps[0].if",
        "if is not supported yet",
    ),
    "steps too long": (
        {"jobs": {"a": {"steps": [{"run": "x" * 50000}, {"run": "x" * 50000}]}}},
        "jobs.a.steps",
        "must be at most 96 KiB of script, found 100000 bytes",
    ),
    # backoff
    "backoff text": (with_job(backoff="fast"), "jobs.a.backoff", 'must be none, found the string "fast"'),
    "backoff empty": (with_job(backoff={}), "jobs.a.backoff", "must be one of fixed and exponential"),
    "backoff both": (
        with_job(backoff={"fixed": 1, "exponential": {"base": 1}}),
        "jobs.a.backoff",
        "must be one of fixed and exponential",
    ),
    "backoff fixed": (
        with_job(backoff={"fixed": -1}),
        "jobs.a.backoff.fixed",
        "must be from 0 to 604800, found -1",
    ),
    "backoff base": (with_job(backoff={"exponential": {}}), "jobs.a.backoff.exponential", "base is missing"),
    "backoff max": (
        with_job(backoff={"exponential": {"base": 5, "max": 4}}),
        "jobs.a.backoff.exponential",
        "max is less than base",
    ),
    "backoff base over the default max": (
        with_job(backoff={"exponential": {"base": 3601}}),
        "jobs.a.backoff.exponential",
        "max is less than base",
    ),
    "backoff jitter": (
        with_job(backoff={"exponential": {"base": 1, "jitter": 1.5}}),
        "jobs.a.backoff.exponential.jitter",
        "must be from 0 to 1, found 1.5",
    ),
    # the graph
    "needs a number": (graph(a=1), "jobs.a.needs", "must be a string or a list or null, found the number 1"),
    "needs a list of numbers": (graph(a=[1]), "jobs.a.needs[0]", "must be a string, found the number 1"),
    "needs unknown": (graph(build=None, a=["biuld"]), "jobs.a.needs[0]", 'there is no job "biuld"'),
    "needs itself": (graph(a="a"), "jobs.a.needs", "a job cannot need itself"),
    "needs twice": (graph(b=None, a=["b", "b"]), "jobs.a.needs[1]", '"b" stands 2 times'),
    "cycle of two": (graph(a="b", b="a"), "jobs.a.needs", "the needs form a cycle: a -> b -> a"),
    "cycle of three": (
        graph(x=None, a=["x", "b"], b="c", c="a"),
        "jobs.a.needs[1]",
        "the needs form a cycle: a -> b -> c -> a",
    ),
    "needs that share variables": (
        graph(**{"a-b": None, "a.b": None, "c": ["a-b", "a.b"]}),
        "jobs.c.needs[1]",
        "the outputs of a-b, a.b become the same variables OUTPUT_A_B_…",
    ),
    # inputs
    "inputs a list": ({"inputs": ["x"], "jobs": {}}, "inputs", "must be a mapping, found a list"),
    "input null": ({"inputs": {"x": None}, "jobs": {}}, "inputs.x", "must be a mapping, found null"),
    "input type": (
        {"inputs": {"x": {"type": "text"}}, "jobs": {}},
        "inputs.x.type",
        'must be string or number or boolean or choice, found the string "text"',
    ),
    "input default": (
        {"inputs": {"x": {"type": "number", "default": "1"}}, "jobs": {}},
        "inputs.x.default",
        'does not match type: number, found the string "1"',
    ),
    "input default of no type": (
        {"inputs": {"x": {"default": 1}}, "jobs": {}},
        "inputs.x.default",
        "does not match type: string, found the number 1",
    ),
    "choice without options": (
        {"inputs": {"x": {"type": "choice"}}, "jobs": {}},
        "inputs.x",
        "an input of type choice needs options",
    ),
    "options without choice": (
        {"inputs": {"x": {"options": ["a"]}}, "jobs": {}},
        "inputs.x.options",
        "an input of type string has no options",
    ),
    "no options": (
        {"inputs": {"x": {"type": "choice", "options": []}}, "jobs": {}},
        "inputs.x.options",
        "must have 1 to 1000 members, found 0",
    ),
    "option twice": (
        {"inputs": {"x": {"type": "choice", "options": ["a", "a"]}}, "jobs": {}},
        "inputs.x.options",
        '"a" stands 2 times',
    ),
    "default not among the options": (
        {"inputs": {"x": {"type": "choice", "options": ["a"], "default": "b"}}, "jobs": {}},
        "inputs.x.default",
        'the string "b" is not among the options',
    ),
    "inputs that share a variable": (
        {"inputs": {"my-in": {}, "other": {}, "my_in": {}}, "jobs": {}},
        "inputs.my_in",
        "the inputs my-in, my_in become the same variable INPUT_MY_IN",
    ),
}


@pytest.mark.parametrize(("definition", "path", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(engine, definition, path, message):
    assert problems(engine, definition) == [(path, message)]


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("retry", "retries"),
        ("need", "needs"),
        ("setps", "steps"),
        ("Run", "run"),
        ("environment", "env"),
        ("runs-on", "labels"),
        ("timeout-minutes", "timeout"),
        ("depends_on", "needs"),
        ("qqqqqqqq", "Known keys: name, needs, run"),
    ],
)
def test_unknown_key_names_the_one_that_was_meant(engine, key, hint):
    [problem] = engine.call("wfg_validate_workflow", p_definition=with_job(**{key: "x"}))["problems"]
    assert hint in problem["hint"]


def test_unknown_job_names_the_one_that_was_meant(engine):
    definition = graph(build=None, test=None, a=["biuld"])
    [problem] = engine.call("wfg_validate_workflow", p_definition=definition)["problems"]
    assert problem["hint"] == 'Did you mean "build"?'


def test_all_problems_come_at_once_in_the_order_of_the_file(engine):
    definition = {
        "name": 5,
        "inputs": {"x": {"type": "text"}},
        "jobs": {"a": {"needs": ["b", "z"], "retry": 3}, "b": {"needs": "a", "run": "", "labels": "x"}},
    }
    assert [path for path, _ in problems(engine, definition)] == [
        "name",
        "inputs.x.type",
        "jobs.a",
        "jobs.a.needs[0]",
        "jobs.a.needs[1]",
        "jobs.a.retry",
        "jobs.b.run",
        "jobs.b.labels",
    ]


def test_after_a_hundred_problems_the_others_are_counted(engine):
    found = problems(engine, {"jobs": {f"j{n}": {"retries": -1, "run": "x"} for n in range(150)}})
    assert len(found) == 101
    assert found[-1][1] == "and 50 more"


def test_a_very_long_name_is_shortened_in_messages(engine):
    [(path, message)] = problems(engine, {"jobs": {}, "x" * 100_000: 1})
    assert len(path) < 100
    assert len(message) < 120


# --- lenient ---


def test_lenient_takes_unknown_keys_for_warnings(engine):
    definition = with_job(retry=3, uses="x", **{"runs-on": "ubuntu"}) | {"permissions": {}}
    answer = engine.call("wfg_validate_workflow", p_definition=definition, p_lenient=True)
    assert answer["valid"]
    assert [warning["path"] for warning in answer["warnings"]] == [
        "jobs.a.retry",
        "jobs.a.uses",
        "jobs.a.runs-on",
        "permissions",
    ]


@pytest.mark.parametrize(
    "definition",
    [with_job(**{"if": "x"}), {"jobs": {"a": {"steps": [{"run": "x", "if": "y"}]}}}, with_job(retries="3")],
)
def test_lenient_still_refuses_conditions_and_wrong_values(engine, definition):
    assert len(problems(engine, definition, p_lenient=True)) == 1


def test_required_beside_a_default_is_a_warning(engine):
    definition = {"inputs": {"x": {"required": True, "default": "y"}}, "jobs": {}}
    answer = engine.call("wfg_validate_workflow", p_definition=definition)
    assert (answer["valid"], [warning["path"] for warning in answer["warnings"]]) == (
        True,
        ["inputs.x.required"],
    )


# --- hostile ---

NO_TEXT = {
    "NUL in a value": r'{"jobs":{"a":{"run":"x\u0000"}}}',
    "NUL in a key": r'{"jobs":{"\u0000":{"run":"x"}}}',
    "NUL after a backslash": r'{"jobs":{"a":{"run":"\\\u0000"}}}',
    "NUL in metadata": r'{"jobs":{"a":{"run":"x","metadata":{"a":[{"\u0000":1}]}}}}',
    "high surrogate alone": r'{"jobs":{"a":{"run":"\ud83d\ude00 \ud800"}}}',
    "low surrogate alone": r'{"jobs":{"a":{"run":"\udc00"}}}',
    "a number too large": r'{"jobs":{"a":{"run":"x","retries":1e999999}}}',
    "a number too large in metadata": r'{"jobs":{"a":{"run":"x","metadata":{"a":-1e999999}}}}',
}


@pytest.mark.parametrize("text", NO_TEXT.values(), ids=NO_TEXT)
def test_what_postgres_cannot_store_is_a_problem(engine, text):
    [(path, message)] = problems(engine, Raw(text))
    assert (path, message.split(" that")[0]) in [("", "contains text"), ("", "contains a number")]
    engine.fails(
        "wfg_put_workflow", status=422, slug="invalid_workflow", p_workflow_id="wf", p_definition=Raw(text)
    )


@pytest.mark.parametrize("depth", [246, 496])
def test_metadata_may_be_deep(engine, depth):
    engine.call("wfg_set_limit", p_name="definition_levels", p_value=500 if depth > 246 else None)
    text = '{"jobs":{"a":{"run":"x","metadata":{"a":' + "[" * depth + "]" * depth + "}}}}"
    assert problems(engine, Raw(text)) == []


def test_a_deep_value_where_none_belongs(engine):
    text = '{"jobs":{"a":{"run":' + '{"run":' * 200 + "1" + "}" * 200 + "}}}"
    assert problems(engine, Raw(text)) == [
        ("jobs.a.run", "must be a string or true or false, found a mapping")
    ]


def test_env_for_very_many_jobs_is_limited(engine):
    definition = {
        "env": {f"V{n}": "x" * 32000 for n in range(20)},
        "jobs": {f"j{n}": {"run": "x"} for n in range(100)},
    }
    assert problems(engine, definition) == [("env", "100 jobs get a copy of it: that is more than 16 MiB")]


def test_a_command_that_no_shell_can_take(engine):
    definition = with_job(run="x" * 98000, env={"A": "'" * 32000})
    [(path, message)] = problems(engine, definition)
    assert path == "jobs.a"
    assert "128 KiB are too many" in message


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-200, 700000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
keys = st.sampled_from(
    [
        "name",
        "on",
        "inputs",
        "env",
        "jobs",
        "type",
        "default",
        "required",
        "description",
        "options",
        "needs",
        "run",
        "steps",
        "labels",
        "retries",
        "lost_retries",
        "backoff",
        "fixed",
        "exponential",
        "base",
        "max",
        "jitter",
        "timeout",
        "priority",
        "group",
        "metadata",
        "id",
        "if",
        "uses",
        "a",
        "b",
        "c",
    ]
)
near_files = st.recursive(
    json_values,
    lambda inner: st.dictionaries(keys, inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def shared(new_database, template):
    """One database for all examples: nothing is kept in it."""
    engine = Engine(new_database(template))
    yield engine
    engine.close()


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "name": near_files,
            "on": near_files,
            "env": near_files,
            "inputs": st.dictionaries(keys, near_files, max_size=3),
            "jobs": st.dictionaries(keys, near_files, max_size=4),
        },
    )
    | near_files,
    st.booleans(),
)
def test_no_json_makes_it_fail(shared, definition, lenient):
    """Whatever it is sent, it answers; and what it calls valid can be put and started."""
    answer = shared.call("wfg_validate_workflow", p_definition=Raw(json.dumps(definition)), p_lenient=lenient)
    if answer["valid"]:
        with shared.connection.transaction(force_rollback=True):
            shared.call(
                "wfg_put_workflow",
                p_workflow_id="x",
                p_definition=Raw(json.dumps(definition)),
                p_lenient=lenient,
            )


def test_null_is_no_definition(engine):
    diag = engine.fails("wfg_validate_workflow", status=422, slug="invalid_request", p_definition=None)
    assert diag.message_detail == "p_definition: is missing"
