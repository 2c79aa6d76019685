"""The idempotency key of wfg_start_run: the same request again is the first run again."""

import pytest

from tests.arrange import START, after, cancel, drain, only
from tests.engine import Raw

INPUTS = {"n": {"type": "number"}, "s": {"type": "string", "default": "d"}}


def start(engine, key="k", workflow_id="wf", **params):
    return engine.call("wfg_start_run", p_workflow_id=workflow_id, p_idempotency_key=key, **params)


@pytest.fixture
def wf(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"), inputs=INPUTS)
    return engine


def test_same_request_is_the_first_run_again(wf):
    first = start(wf, p_inputs={"n": 1})
    wf.advance(60)
    again = start(wf, p_inputs={"n": 1})

    assert (first["created"], again["created"]) == (True, False)
    assert again == {**first, "created": False}
    assert list(again) == ["run_id", "workflow_id", "version", "created"]
    assert len(wf.call("wfg_list_runs")["items"]) == len(wf.query("select true as found from wfg.queue")) == 1
    assert wf.call("wfg_get_run", p_run_id=first["run_id"])["idempotency_key"] == "k"


@pytest.mark.parametrize("ended", ["success", "failure", "cancelled"])
def test_run_that_has_ended_is_still_the_answer(wf, ended):
    first = start(wf)
    match ended:
        case "success":
            drain(wf)
        case "failure":
            wf.fail(wf.claim())
        case "cancelled":
            cancel(wf, first["run_id"])

    assert start(wf) == {**first, "created": False}
    assert wf.state(first["run_id"]) == ended
    assert wf.claim() is None


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ({}, {"p_inputs": None}),
        ({}, {"p_inputs": {}}),
        ({"p_inputs": Raw('{"n":1,"s":"x"}')}, {"p_inputs": Raw(' {"s":"x", "n":1} ')}),
        ({"p_start_at": after(60)}, {"p_start_at": "2030-01-01T01:01:00+01:00"}),
        ({"p_started_by": "ada"}, {"p_started_by": "bob"}),
        ({"p_reason": "one"}, {}),
    ],
)
def test_request_that_means_the_same_is_the_same(wf, first, again):
    answer = start(wf, **first)
    assert start(wf, **again) == {**answer, "created": False}


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ({}, {"p_inputs": {"n": 1}}),
        ({"p_inputs": {"n": 1}}, {}),
        ({"p_inputs": {"n": 1}}, {"p_inputs": {"n": 2}}),
        ({"p_inputs": {"s": "x"}}, {"p_inputs": {"s": "y"}}),
        ({}, {"p_start_at": after(60)}),
        ({"p_start_at": after(60)}, {}),
        ({"p_start_at": after(60)}, {"p_start_at": after(61)}),
    ],
)
def test_other_request_with_the_key_is_refused(wf, first, other):
    answer = start(wf, **first)
    diag = wf.fails(
        "wfg_start_run",
        p_workflow_id="wf",
        p_idempotency_key="k",
        **other,
        status=409,
        slug="idempotency_key_reused",
    )
    assert answer["run_id"] in diag.message_detail
    assert len(wf.call("wfg_list_runs")["items"]) == 1


def test_keys_are_distinct_to_the_letter(wf):
    keys = ["k", "K", "k ", "\u00fc", "u\u0308", "'; --", "%", "0", "x" * 200]
    assert len({start(wf, key)["run_id"] for key in keys}) == len(keys)


def test_key_belongs_to_its_workflow(wf):
    wf.put("other", jobs=only("a"))
    assert start(wf)["run_id"] != start(wf, workflow_id="other")["run_id"]


def test_without_a_key_every_request_is_a_run(wf):
    assert start(wf, None)["run_id"] != start(wf, None)["run_id"]


def test_next_version_of_the_workflow_does_not_change_what_was_asked(wf):
    first = start(wf, p_inputs={"n": 1})
    wf.put(jobs=only("b"), inputs={**INPUTS, "more": {"type": "string", "required": True}})

    assert start(wf, p_inputs={"n": 1}) == {**first, "created": False}


def test_inputs_that_the_next_version_does_not_know_do_not_matter(wf):
    first = start(wf, p_inputs={"n": 1})
    wf.put(jobs=only("a"))
    assert start(wf, p_inputs={"n": 1}) == {**first, "created": False}


def test_deleted_workflow_does_not_change_what_was_asked(wf):
    first = start(wf)
    wf.call("wfg_delete_workflow", p_workflow_id="wf")

    assert start(wf) == {**first, "created": False}
    wf.fails(
        "wfg_start_run", p_workflow_id="wf", p_idempotency_key="new", status=404, slug="workflow_not_found"
    )


def test_request_that_was_refused_uses_no_key_up(wf):
    wf.fails(
        "wfg_start_run",
        p_workflow_id="wf",
        p_idempotency_key="k",
        p_inputs={"n": "x"},
        status=422,
        slug="invalid_request",
    )
    assert start(wf, p_inputs={"n": 1})["created"]


def test_request_that_was_rolled_back_uses_no_key_up(wf):
    with wf.connection.transaction(force_rollback=True):
        first = start(wf)
    again = start(wf)
    assert again["created"]
    assert again["run_id"] != first["run_id"]
