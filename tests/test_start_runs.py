"""wfg_start_runs: many runs in one call, each as wfg_start_run starts it; one malformed item starts none."""

import json
import random
import uuid
from collections import Counter

import pytest

from tests.arrange import (
    CANNOT_CAST,
    INPUTS,
    NO_IDS,
    START,
    after,
    cancel,
    chain,
    chunk,
    drain,
    fan,
    join,
    ms,
    only,
    run_workflow,
    sqlstate_of,
    starting_nothing,
)
from tests.engine import Raw, lease_id
from tests.sessions import race, sessions, side_by_side, wait_until_blocked


@pytest.fixture(scope="module")
def refusing(new_database, template):
    """For calls that start nothing."""
    with starting_nothing(new_database(template)) as engine:
        yield engine


def start_many(engine, *items, workflow_id="wf", **params):
    return engine.call("wfg_start_runs", p_workflow_id=workflow_id, p_runs=list(items), **params)


def started(answers):
    """The run ids, when every item was accepted."""
    assert all(answer["ok"] for answer in answers), answers
    return [answer["run_id"] for answer in answers]


def get(engine, run_id):
    return engine.call("wfg_get_run", p_run_id=run_id)


# --- the answer ---


def test_nothing_to_start_is_answered_with_nothing(engine):
    engine.put(jobs=only("a"))

    assert engine.call_text("wfg_start_runs", p_workflow_id="wf", p_runs="[]") == "[]"
    assert engine.call("wfg_list_runs")["items"] == []


def test_answer_says_run_version_and_whether_it_is_new(engine):
    engine.put(jobs=only("a"))
    engine.put(jobs=only("b"))
    earlier = engine.start(idempotency_key="same")
    other = engine.start(idempotency_key="other", start_at=after(1))

    text = engine.call_text(
        "wfg_start_runs",
        p_workflow_id="wf",
        p_runs=[{}, {"idempotency_key": "other"}, {"idempotency_key": "same"}],
    )
    answers = json.loads(text)
    assert json.dumps(answers) == json.dumps(
        [
            {"ok": True, "run_id": answers[0]["run_id"], "version": 2, "created": True},
            {"ok": False, "message": "idempotency_key_reused", "run_id": other},
            {"ok": True, "run_id": earlier, "version": 2, "created": False},
        ]
    )


def test_answers_stand_in_the_order_sent(engine):
    """Keys in no order: the runs are inserted in that of their keys."""
    engine.put(jobs=only("a"), inputs={"n": {"type": "number"}})
    numbers = random.Random(0).sample(range(100), 100)
    items = [{"inputs": {"n": n}, **({"idempotency_key": f"key {n}"} if n % 3 else {})} for n in numbers]

    runs = started(start_many(engine, *items))
    assert [get(engine, run_id)["inputs"] for run_id in runs] == [{"n": n} for n in numbers]
    assert [get(engine, run_id)["idempotency_key"] for run_id in runs] == [
        item.get("idempotency_key") for item in items
    ]


def test_ids_ascend_in_the_order_sent(engine):
    """So lists show the last one first, and jobs that are ready at once go in the order sent."""
    engine.set_now(START)
    engine.put(jobs=only("a"))
    keys = [str(n) for n in random.Random(0).sample(range(5000), 5000)]
    runs = started(start_many(engine, *({"idempotency_key": key} for key in keys)))

    assert runs == sorted(set(runs))
    assert {uuid.UUID(run_id).version for run_id in runs} == {7}
    assert [item["run_id"] for item in engine.call("wfg_list_runs", p_limit=10)["items"]] == runs[:-11:-1]
    assert [claim["job"]["run_id"] for claim in engine.claim_many(1000)] == runs[:1000]


def test_ids_are_of_the_time_of_creation(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    first, second = started(start_many(engine, {}, {}))

    assert uuid.UUID(first).int >> 80 == uuid.UUID(second).int >> 80 == ms(START)
    assert {get(engine, run_id)["created_at_ms"] for run_id in (first, second)} == {ms(START)}


def test_each_run_is_as_if_started_alone(engine):
    """All that is told of a run, and of its claim."""
    engine.set_now(START)
    engine.put(jobs=chain(2), inputs=INPUTS)
    asked = {"inputs": {"who": "me", "count": "2"}, "idempotency_key": "k", "start_at": after(5)}
    alone = engine.start(**asked, started_by="ada", reason="why")
    engine.put("twin", jobs=chain(2), inputs=INPUTS)
    item = {**asked, "start_at_ms": ms(asked["start_at"])}
    del item["start_at"]
    (among,) = started(start_many(engine, item, workflow_id="twin", p_started_by="ada", p_reason="why"))

    def told(run_id, workflow_id):
        return json.loads(json.dumps(get(engine, run_id)).replace(run_id, "~").replace(workflow_id, "wf"))

    assert told(among, "twin") == told(alone, "wf")
    engine.set_now(after(5))
    claims = {claim["job"]["run_id"]: claim["job"] for claim in engine.claim_many(9)}
    for claim, run_id in zip((claims[alone], claims[among]), (alone, among), strict=True):
        assert claim.pop("run_id") == claim.pop("workflow_id") == run_id
    assert claims[alone] == claims[among]


# --- who is meant ---


@pytest.mark.parametrize("name", NO_IDS)
def test_unknown_workflow_is_not_found(refusing, name):
    for items in ([], [{}]):
        refusing.fails(
            "wfg_start_runs",
            p_workflow_id=NO_IDS[name],
            p_runs=items,
            status=404,
            slug="workflow_not_found",
        )


def test_deleted_workflow_is_not_found(engine):
    engine.put(jobs=only("a"))
    engine.call("wfg_delete_workflow", p_workflow_id="wf")

    engine.fails("wfg_start_runs", p_workflow_id="wf", p_runs=[{}, {}], status=404, slug="workflow_not_found")


def test_runs_take_the_current_version(engine):
    engine.put(jobs=only("a"))
    (old,) = started(start_many(engine, {}))
    engine.put(jobs=only("b"))
    new = start_many(engine, {}, {})

    assert [answer["version"] for answer in new] == [2, 2]
    assert [engine.jobs(run_id) for run_id in (old, *started(new))] == [
        {"a": "queued"},
        {"b": "queued"},
        {"b": "queued"},
    ]


def test_they_are_runs_and_not_of_the_workflow_door(engine):
    """Neither do they stand in the way of that door, nor does it in theirs."""
    engine.put(jobs=only("a"))
    door = run_workflow(engine)
    runs = started(start_many(engine, {}, {}))

    assert {get(engine, run_id)["door"] for run_id in runs} == {"run"}
    assert run_workflow(engine) == door
    cancel(engine, "wf")
    assert [engine.state(run_id) for run_id in (door, *runs)] == ["cancelled", "queued", "queued"]


# --- inputs ---


def test_each_item_has_its_inputs_converted_and_with_defaults(engine):
    engine.put(jobs=only("a"), inputs=INPUTS)
    runs = started(
        start_many(
            engine,
            {"inputs": {"who": "me"}},
            {"inputs": {"who": "", "count": "-1.5e3", "dry": "true", "env": "prod"}},
            {"inputs": {"who": "it's \u00fc\n", "count": None, "dry": False}},
        )
    )

    expected = [
        {"who": "me", "count": 3, "env": "dev"},
        {"who": "", "count": -1500, "dry": True, "env": "prod"},
        {"who": "it's \u00fc\n", "count": 3, "dry": False, "env": "dev"},
    ]
    assert [get(engine, run_id)["inputs"] for run_id in runs] == expected
    assert [claim["job"]["inputs"] for claim in engine.claim_many(3)] == expected


def test_null_of_an_item_means_nothing_special(engine):
    engine.put(jobs=only("a"))
    (run_id,) = started(start_many(engine, {"inputs": None, "idempotency_key": None, "start_at_ms": None}))

    run = get(engine, run_id)
    assert (run["inputs"], run["idempotency_key"], run["start_at_ms"]) == ({}, None, None)
    assert engine.claim() is not None


# --- when ---


def test_no_job_is_claimed_before_its_start(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    runs = started(
        start_many(
            engine,
            {"start_at_ms": ms(after(7200))},
            {},
            {"start_at_ms": ms(after(3600))},
            {"start_at_ms": ms(after(-3600))},
        )
    )
    assert [get(engine, run_id)["start_at_ms"] for run_id in runs] == [
        ms(after(7200)),
        None,
        ms(after(3600)),
        ms(after(-3600)),
    ]

    def claimed():
        return [runs.index(claim["job"]["run_id"]) for claim in engine.claim_many(9, ttl=86400)]

    assert claimed() == [1, 3]
    engine.set_now(after(3599.999))
    assert claimed() == []
    engine.set_now(after(3600))
    assert claimed() == [2]
    engine.set_now(after(7200))
    assert claimed() == [0]


@pytest.mark.parametrize("at", [0, 253402300799999])
def test_start_may_be_long_ago_or_far_off(engine, at):
    engine.put(jobs=only("a"))
    (run_id,) = started(start_many(engine, {"start_at_ms": at}))

    assert get(engine, run_id)["start_at_ms"] == at
    assert (engine.claim() is None) == bool(at)


# --- who and why ---


def test_who_and_why_are_kept_with_each(engine):
    engine.put(jobs=only("a"))
    runs = started(start_many(engine, {}, {}, p_started_by="ada", p_reason="because \U0001f600"))

    for run in (get(engine, run_id) for run_id in runs):
        assert (run["started_by"], run["reason"]) == ("ada", "because \U0001f600")


@pytest.mark.parametrize(("param", "longest"), [("p_started_by", 200), ("p_reason", 2000)])
def test_texts_have_a_length(refusing, param, longest):
    for text in ("", "x" * (longest + 1)):
        diag = refusing.fails(
            "wfg_start_runs",
            p_workflow_id="plain",
            p_runs=[{}],
            status=422,
            slug="invalid_request",
            **{param: text},
        )
        assert diag.message_detail == f"{param}: must be 1 to {longest} characters"


# --- idempotency keys ---


def test_batch_sent_again_is_the_first_runs_again(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"), inputs={"n": {"type": "number"}})
    batch = [
        {"idempotency_key": f"k{n}", "inputs": {"n": n}, **({"start_at_ms": ms(after(9))} if n % 2 else {})}
        for n in range(20)
    ]
    first = start_many(engine, *batch)
    engine.advance(60)
    again = start_many(engine, *reversed(batch))

    assert {answer["created"] for answer in first} == {True}
    assert again == [{**answer, "created": False} for answer in reversed(first)]
    assert len(drain(engine)) == 20


def test_repeat_within_a_batch_is_the_first_of_it(engine):
    engine.put(jobs=only("a"), inputs={"n": {"type": "number"}})
    one, two = {"idempotency_key": "k", "inputs": {"n": 1}}, {"idempotency_key": "k", "inputs": {"n": 2}}
    answers = start_many(engine, one, {}, one, two, {"idempotency_key": "l"}, one)

    run_id = answers[0]["run_id"]
    assert [answers[0], *answers[2:4], answers[5]] == [
        {"ok": True, "run_id": run_id, "version": 1, "created": True},
        {"ok": True, "run_id": run_id, "version": 1, "created": False},
        {"ok": False, "message": "idempotency_key_reused", "run_id": run_id},
        {"ok": True, "run_id": run_id, "version": 1, "created": False},
    ]
    assert answers[1]["created"]
    assert answers[4]["created"]
    assert get(engine, run_id)["inputs"] == {"n": 1}
    assert len(drain(engine)) == 3


def test_other_request_with_a_key_starts_nothing_while_others_start(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"), inputs={"n": {"type": "number"}})
    first = start_many(engine, {"idempotency_key": "k", "inputs": {"n": 1}})[0]["run_id"]
    refused = {"ok": False, "message": "idempotency_key_reused", "run_id": first}

    answers = start_many(
        engine,
        {"idempotency_key": "k"},
        {"idempotency_key": "new"},
        {"idempotency_key": "k", "inputs": {"n": 2}},
        {"idempotency_key": "k", "inputs": {"n": 1}, "start_at_ms": ms(after(1))},
        {},
    )
    assert [answers[0], answers[2], answers[3]] == [refused] * 3
    assert [answers[1]["created"], answers[4]["created"]] == [True, True]
    assert len(drain(engine)) == 3


SAME = [
    ({}, {}),
    ({"inputs": {}}, {"inputs": None}),
    ({"inputs": {"s": "x", "n": 1}}, {"inputs": {"n": 1, "s": "x"}}),
    ({"start_at": after(60)}, {"start_at_ms": ms(after(60))}),
    ({"inputs": {"n": 1}, "start_at": after(0.001)}, {"inputs": {"n": 1}, "start_at_ms": ms(after(0.001))}),
    ({"start_at": after(-(10**9))}, {"start_at_ms": ms(after(-(10**9)))}),
    ({"started_by": "ada"}, {}),
]
OTHER = [
    ({}, {"inputs": {"n": 1}}),
    ({"inputs": {"n": 1}}, {"inputs": {"n": "1"}}),
    ({}, {"start_at_ms": ms(after(60))}),
    ({"start_at": after(60)}, {"start_at_ms": ms(after(60)) + 1}),
]


@pytest.mark.parametrize("first", ["one", "many"])
@pytest.mark.parametrize(("one", "many"), SAME)
def test_one_and_many_know_each_others_keys(engine, one, many, first):
    engine.set_now(START)
    engine.put(jobs=only("a"), inputs={"n": {"type": "number"}, "s": {"type": "string"}})

    def single():
        return engine.call(
            "wfg_start_run",
            p_workflow_id="wf",
            p_idempotency_key="k",
            **{f"p_{key}": value for key, value in one.items()},
        )

    def batch():
        return start_many(engine, {"idempotency_key": "k", **many})[0]

    answers = [single(), batch()] if first == "one" else [batch(), single()]
    assert [answer["created"] for answer in answers] == [True, False]
    assert answers[0]["run_id"] == answers[1]["run_id"]


@pytest.mark.parametrize(("one", "many"), OTHER)
def test_one_and_many_tell_the_same_requests_apart(engine, one, many):
    engine.set_now(START)
    engine.put(jobs=only("a", "b"), inputs={"n": {"type": "number"}, "s": {"type": "string"}})
    run_id = engine.start(idempotency_key="one", **one)
    item = {"idempotency_key": "one", **many}
    assert start_many(engine, item) == [{"ok": False, "message": "idempotency_key_reused", "run_id": run_id}]

    (run_id,) = started(start_many(engine, {**item, "idempotency_key": "many"}))
    diag = engine.fails(
        "wfg_start_run",
        p_workflow_id="wf",
        p_idempotency_key="many",
        **{f"p_{key}": value for key, value in one.items()},
        status=409,
        slug="idempotency_key_reused",
    )
    assert run_id in diag.message_detail


def test_key_belongs_to_its_workflow(engine):
    engine.put(jobs=only("a"))
    engine.put("other", jobs=only("a"))
    first = start_many(engine, {"idempotency_key": "k"})
    second = start_many(engine, {"idempotency_key": "k"}, workflow_id="other")

    assert first[0]["run_id"] != second[0]["run_id"]
    assert second[0]["created"]


def test_keys_are_distinct_to_the_letter(engine):
    engine.put(jobs=only("a"))
    keys = ["k", "K", "k ", "\u00fc", "u\u0308", "'; --", "%", "0", '"', "\\", "{}", "x" * 200]
    assert len(set(started(start_many(engine, *({"idempotency_key": key} for key in keys))))) == len(keys)


@pytest.mark.parametrize("ended", ["success", "cancelled"])
def test_run_that_has_ended_is_still_the_answer(engine, ended):
    engine.put(jobs=only("a"))
    (run_id,) = started(start_many(engine, {"idempotency_key": "k"}))
    drain(engine) if ended == "success" else cancel(engine, run_id)

    assert start_many(engine, {"idempotency_key": "k"}) == [
        {"ok": True, "run_id": run_id, "version": 1, "created": False}
    ]
    assert engine.state(run_id) == ended
    assert engine.claim() is None


def test_pruned_run_frees_its_key(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    first = start_many(engine, {"idempotency_key": "k"})
    drain(engine)
    engine.advance(10)
    engine.call("wfg_prune", p_older_than_secs=1)

    again = start_many(engine, {"idempotency_key": "k"})
    assert again[0]["created"]
    assert again[0]["run_id"] != first[0]["run_id"]


def test_next_version_of_the_workflow_does_not_change_what_was_asked(engine):
    """A client that lost the answer sends its batch again, as it was."""
    engine.put(jobs=only("a"), inputs={"n": {"type": "number"}})
    batch = [{"idempotency_key": "k", "inputs": {"n": 1}}, {"idempotency_key": "l", "inputs": {}}]
    first = start_many(engine, *batch)
    engine.put(jobs=only("b"), inputs={"more": {"type": "string", "required": True}})

    assert start_many(engine, *batch) == [{**answer, "created": False} for answer in first]


def test_version_told_of_a_known_run_is_its_own(engine):
    engine.put(jobs=only("a"))
    start_many(engine, {"idempotency_key": "k"})
    engine.put(jobs=only("b"))

    answers = start_many(engine, {"idempotency_key": "k"}, {"idempotency_key": "l"})
    assert [(answer["version"], answer["created"]) for answer in answers] == [(1, False), (2, True)]


def test_call_that_was_refused_or_undone_uses_no_key_up(engine):
    engine.put(jobs=only("a"))
    engine.fails(
        "wfg_start_runs",
        p_workflow_id="wf",
        p_runs=[{"idempotency_key": "k"}, {"inputs": {"n": 1}}],
        status=422,
        slug="invalid_request",
    )
    with engine.connection.transaction(force_rollback=True):
        start_many(engine, {"idempotency_key": "k"})

    assert start_many(engine, {"idempotency_key": "k"})[0]["created"]
    assert len(engine.call("wfg_list_runs")["items"]) == 1


# --- at the same time ---


def test_batches_with_the_same_keys_in_opposite_order_meet_without_a_deadlock(engine, connect):
    """Each key is one run, and who did not start it is told of it."""
    engine.put(jobs=only("a"))
    keys = [[f"round {n}, {key}" for key in range(100)] for n in range(15)]

    def starter(session, direction):
        return lambda names: start_many(session, *({"idempotency_key": key} for key in names[::direction]))

    with sessions(connect, 4) as engines:
        answers = race(
            keys,
            *(starter(session, direction) for session, direction in zip(engines, [1, -1] * 2, strict=True)),
        )

    for forward, backward, *others in answers:
        found = [forward, backward[::-1], others[0], others[1][::-1]]
        for same in zip(*found, strict=True):
            assert all(answer["ok"] for answer in same)
            assert len({answer["run_id"] for answer in same}) == 1
            assert Counter(answer["created"] for answer in same) == {True: 1, False: 3}
    assert len(drain(engine)) == 1500


def test_batches_of_one_key_each_and_single_starts_meet(engine, connect):
    engine.put(jobs=only("a"))
    rounds = [f"key {n}" for n in range(40)]
    with sessions(connect, 3) as (one, two, three):
        answers = race(
            rounds,
            lambda key: start_many(one, {"idempotency_key": key})[0],
            lambda key: start_many(two, {}, {"idempotency_key": key}, {})[1],
            lambda key: three.call("wfg_start_run", p_workflow_id="wf", p_idempotency_key=key),
        )

    for same in answers:
        assert len({answer["run_id"] for answer in same}) == 1
        assert sum(answer["created"] for answer in same) == 1


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_batch_waits_for_an_open_start_with_its_key(engine, connect, end):
    """Committed, that is its run; rolled back, it starts its own. The rest of the batch starts anyway."""
    engine.put(jobs=only("a"))
    other = connect()
    other.query("begin")
    theirs = other.start(idempotency_key="k")
    observer = connect()

    def finish():
        wait_until_blocked(observer, engine, other)
        other.query(end)

    answers, _ = side_by_side(
        lambda: start_many(engine, {"idempotency_key": "a"}, {"idempotency_key": "k"}, {}), finish
    )
    assert [answer["created"] for answer in answers] == [True, end == "rollback", True]
    assert (answers[1]["run_id"] == theirs) == (end == "commit")
    assert len(drain(engine)) == 3


def test_run_that_is_pruned_meanwhile_is_started_anew(engine, connect):
    """The batch waits for one key, and the run of another, which it had found, is gone by then."""
    engine.set_now(START)
    engine.put(jobs=only("a"), inputs={"n": {"type": "number", "default": 3}})
    (known,) = started(start_many(engine, {"idempotency_key": "known"}))
    drain(engine)
    pruner, other, observer = connect(), connect(), connect()
    pruner.set_now(after(10))
    other.query("begin")
    theirs = other.start(idempotency_key="theirs")

    def finish():
        wait_until_blocked(observer, engine, other)
        assert pruner.call("wfg_prune", p_older_than_secs=1)["runs"] == 1
        other.query("commit")

    answers, _ = side_by_side(
        lambda: start_many(engine, {"idempotency_key": "known"}, {"idempotency_key": "theirs"}), finish
    )
    assert [(answer["run_id"] == theirs, answer["created"]) for answer in answers] == [
        (False, True),
        (True, False),
    ]
    assert answers[0]["run_id"] != known
    assert get(engine, answers[0]["run_id"])["inputs"] == {"n": 3}


# --- graphs ---


GRAPHS = {
    "none": ({}, 0),
    "one": (only("a"), 1),
    "chain": (chain(4), 4),
    "fan": (fan(20), 21),
    "join": (join(17), 18),
    "wide flat": (only(*(f"j{n}" for n in range(17))), 17),
    "wides": (
        {
            **only(*(f"p{n}" for n in range(33))),
            **{f"w{n}": {"run": "true", "needs": [f"p{m}" for m in range(n, n + 17)]} for n in range(3)},
            "end": {"run": "true", "needs": ["w0", "w1", "w2"]},
        },
        37,
    ),
    "two lanes": ({**only("a", labels=["x"]), **only("b", priority=5), **only("c", needs=["a", "b"])}, 3),
}


@pytest.mark.parametrize("shape", GRAPHS, ids=lambda shape: shape.replace(" ", "-"))
def test_graph_of_any_shape_is_driven_to_its_end(engine, shape):
    jobs, count = GRAPHS[shape]
    engine.put(jobs=jobs)
    runs = started(start_many(engine, *({"idempotency_key": str(n)} for n in range(3)), {}, {}))
    engine.check()

    assert len(drain(engine, labels=["x"])) == 5 * count
    assert {engine.state(run_id) for run_id in runs} == {"success"}
    assert engine.query("select 1 as row from wfg.queue") == []
    assert engine.query("select 1 as row from wfg.run_slots union all select 1 from wfg.join_slots") == []


def test_run_without_jobs_is_a_success_at_once(engine):
    engine.set_now(START)
    engine.put(jobs={})

    for run_id in started(start_many(engine, {}, {"start_at_ms": ms(after(60))}, {"idempotency_key": "k"})):
        run = get(engine, run_id)
        assert (run["state"], run["finished_at_ms"], run["jobs"]) == ("success", ms(START), [])


def test_runs_of_a_batch_end_each_by_itself(engine):
    """One fails, one is cancelled, one is retried, one loses its lease, one has logs; the rest succeed."""
    engine.set_now(START)
    engine.put(jobs={**join(17, retries=1)})
    runs = started(start_many(engine, *({} for _ in range(6))))
    claims = {}
    for claim in engine.claim_many(1000, ttl=60):
        claims.setdefault(claim["job"]["run_id"], []).append(claim)
    failed, cancelled, retried, lost, logged, _ = runs

    engine.fail(claims[failed][3])
    cancel(engine, cancelled)
    engine.fail(claims[retried][3], retryable=True)
    engine.call(
        "wfg_append_logs", p_lease_id=lease_id(claims[logged][0]), p_chunks=[chunk(claims[logged][0])]
    )
    engine.check()
    reports = [
        {"lease_id": lease_id(claim), "outcome": "success"}
        for run_id in runs
        for number, claim in enumerate(claims[run_id])
        if not (run_id == lost and number < 5)
    ]
    engine.call("wfg_report_jobs", p_reports=reports)
    engine.advance(61)
    drain(engine)

    assert [engine.state(run_id) for run_id in runs] == [
        "failure",
        "cancelled",
        "success",
        "success",
        "success",
        "success",
    ]


# --- who waits is woken ---


def test_waiting_workers_are_woken_once_per_lane(engine, listener):
    engine.set_now(START)
    engine.put(jobs={**only("a", "b"), **only("c", labels=["x"]), **only("d", labels=["y"], needs=["a"])})
    lanes = engine.query("select id::text from wfg.lanes where labels <> '{y}' order by id::text")
    woken = [("wfg_wake", lane["id"]) for lane in lanes]

    start_many(engine, *({} for _ in range(100)))
    assert sorted(listener()) == woken

    start_many(engine, *({"start_at_ms": ms(after(1))} for _ in range(100)))
    assert listener() == []
    start_many(engine, *({"start_at_ms": ms(after(n))} for n in range(100)))
    assert sorted(listener()) == woken


def test_repeats_wake_nobody(engine, listener):
    engine.put(jobs=only("a"))
    start_many(engine, {"idempotency_key": "k"})
    assert len(listener()) == 1

    start_many(engine, {"idempotency_key": "k"}, {"idempotency_key": "k"})
    assert listener() == []


# --- many ---


@pytest.mark.nightly
def test_ten_thousand_runs_start_in_one_call_and_all_end(engine):
    engine.put(jobs=only("a"), inputs={"n": {"type": "number"}})
    items = [
        {"inputs": {"n": n}, **({"idempotency_key": f"key {n}"} if n % 2 else {})} for n in range(10_000)
    ]
    runs = started(start_many(engine, *items))

    assert runs == sorted(set(runs))
    assert len(runs) == 10_000
    assert len(drain(engine)) == 10_000
    states = engine.query("select state, count(*) from wfg.runs group by 1")
    assert states == [{"state": "success", "count": 10_000}]


# --- malformed batches ---


@pytest.mark.parametrize(
    ("items", "named"),
    [
        (None, "p_runs"),
        ("null", "p_runs"),
        ("{}", "p_runs"),
        ('"x"', "p_runs"),
        ("7", "p_runs"),
        ("true", "p_runs"),
        ("[" + "{}," * 10_000 + "{}]", "p_runs"),
        ("[GOOD,null]", "p_runs[1]"),
        ("[GOOD,[]]", "p_runs[1]"),
        ("[GOOD,[{}]]", "p_runs[1]"),
        ('[GOOD,"x"]', "p_runs[1]"),
        ("[GOOD,1]", "p_runs[1]"),
        ("[GOOD,false]", "p_runs[1]"),
        ('[GOOD,{"start_at":1}]', "p_runs[1].start_at"),
        ('[GOOD,{"Inputs":{}}]', "p_runs[1].Inputs"),
        ('[GOOD,{"":null}]', "p_runs[1]."),
        ('[GOOD,{"inputs":[]}]', "p_runs[1].inputs"),
        ('[GOOD,{"inputs":"x"}]', "p_runs[1].inputs"),
        ('[GOOD,{"inputs":1}]', "p_runs[1].inputs"),
        ('[GOOD,{"inputs":false}]', "p_runs[1].inputs"),
        ('[GOOD,{"idempotency_key":7}]', "p_runs[1].idempotency_key"),
        ('[GOOD,{"idempotency_key":{}}]', "p_runs[1].idempotency_key"),
        ('[GOOD,{"idempotency_key":""}]', "p_runs[1].idempotency_key"),
        ('[GOOD,{"idempotency_key":"' + "x" * 201 + '"}]', "p_runs[1].idempotency_key"),
        ('[GOOD,{"start_at_ms":"1893456000000"}]', "p_runs[1].start_at_ms"),
        ('[GOOD,{"start_at_ms":true}]', "p_runs[1].start_at_ms"),
        ('[GOOD,{"start_at_ms":[1]}]', "p_runs[1].start_at_ms"),
        ('[GOOD,{"start_at_ms":-1}]', "p_runs[1].start_at_ms"),
        ('[GOOD,{"start_at_ms":253402300800000}]', "p_runs[1].start_at_ms"),
        ('[GOOD,{"start_at_ms":1e300}]', "p_runs[1].start_at_ms"),
        ('[GOOD,{"start_at_ms":1e-400}]', "p_runs[1].start_at_ms"),
        ("[GOOD,GOOD,{}]", "p_runs[2].inputs.who"),
        ('[GOOD,{"inputs":{"who":null}}]', "p_runs[1].inputs.who"),
        ('[GOOD,{"inputs":{"who":1}}]', "p_runs[1].inputs.who"),
        ('[GOOD,{"inputs":{"who":"me","count":"many"}}]', "p_runs[1].inputs.count"),
        ('[GOOD,{"inputs":{"who":"me","dry":1}}]', "p_runs[1].inputs.dry"),
        ('[GOOD,{"inputs":{"who":"me","env":"qa"}}]', "p_runs[1].inputs.env"),
        ('[GOOD,{"inputs":{"who":"me","more":1}}]', "p_runs[1].inputs.more"),
        ('[GOOD,{"start_at_ms":-1},{"start_at":1}]', "p_runs[1].start_at_ms"),
        ('[{"inputs":{"who":1}},GOOD,[]]', "p_runs[2]"),
    ],
)
def test_malformed_item_is_named_and_nothing_is_started(refusing, items, named):
    good = json.dumps({"inputs": {"who": "me"}, "idempotency_key": "k"})
    sent = None if items is None else Raw(items.replace("GOOD", good))

    diag = refusing.fails(
        "wfg_start_runs", p_workflow_id="wf", p_runs=sent, status=422, slug="invalid_request"
    )
    assert diag.message_detail.startswith(f"{named}: "), diag.message_detail
    assert diag.message_hint


@pytest.mark.parametrize("text", ["", "[", "[{]", '[{"idempotency_key":"\\u0000"}]', "[{}],", "[NaN]"])
def test_what_is_no_json_is_refused_by_postgres(refusing, text):
    state = sqlstate_of(refusing, "wfg_start_runs", p_workflow_id="plain", p_runs=Raw(text))
    assert state in CANNOT_CAST
