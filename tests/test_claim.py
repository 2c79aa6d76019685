"""wfg_claim_job and wfg_claim_jobs: who gets what, in which order, for how long."""

import json
import subprocess

import pytest

from tests.arrange import (
    CANNOT_CAST,
    START,
    after,
    cancel,
    chain,
    engine_on,
    incompressible,
    ms,
    only,
    run_workflow,
    sqlstate_of,
)
from tests.engine import Raw, lease_id


@pytest.fixture(scope="module")
def refusing(new_database, template):
    """An engine with one ready job, for claims that take nothing."""
    with engine_on(new_database(template)) as engine:
        engine.put(jobs=only("a"))
        engine.start()
        yield engine
        assert engine.query("select true as found from wfg.queue where lease_nonce is not null") == []


def ids(claims):
    return [claim["job"]["job_id"] for claim in claims]


def claim_ids(engine, count, **claim):
    return ids(engine.claim(**claim) for _ in range(count))


# --- the answer ---


def test_claim_hands_over_all_that_a_worker_needs(engine):
    engine.set_now(START)
    engine.put(
        "ci",
        jobs={
            "test": {"run": "make test"},
            "build": {
                "name": "Build",
                "needs": "test",
                "run": "make",
                "labels": ["linux", "big"],
                "retries": 2,
                "backoff": {"exponential": {"base": 2, "max": 60}},
                "env": {"MODE": "it's"},
                "timeout": 600,
            },
        },
        inputs={"who": {"type": "string"}},
    )
    run_id = engine.start("ci", inputs={"who": "me"})
    engine.complete(engine.claim(), {"coverage": "94%"})
    engine.advance(1.25)

    text = engine.call_text(
        "wfg_claim_job", p_worker_id="w1", p_labels=["big", "linux", "more"], p_ttl_secs=45
    )
    claim = json.loads(text)
    lease, job = lease_id(claim), claim["job"]
    assert job["command"].startswith("export ")
    assert json.dumps(claim) == json.dumps(
        {
            "job": {
                "job_id": "build",
                "script": "set -e\nmake",
                "required_labels": ["linux", "big"],
                "retry_policy": {
                    "max_retries": 2,
                    "backoff": {"Exponential": {"base_secs": 2, "max_secs": 60}},
                },
                "timeout_secs": 600,
                "workflow_id": run_id,
                "run_id": run_id,
                "command": job["command"],
                "env": job["env"],
                "inputs": {"who": "me"},
                "upstream_outputs": {"test": {"coverage": "94%"}},
                "upstream_omitted": [],
                "attempt": 0,
                "enqueued_at_ms": ms(START),
                "delayed_until_ms": 0,
            },
            "lease": {
                "lease_id": lease,
                "job_id": "build",
                "workflow_id": run_id,
                "run_id": run_id,
                "worker_id": "w1",
                "ttl_secs": 45,
                "granted_at_ms": ms(after(1.25)),
                "expires_at_ms": ms(after(46.25)),
            },
        }
    )
    assert job["env"] == {"INPUT_WHO": "me", "MODE": "it's", "OUTPUT_TEST_COVERAGE": "94%"}


@pytest.mark.parametrize(
    ("backoff", "shown"),
    [
        (None, "None"),
        ("none", "None"),
        ({"fixed": 5}, {"Fixed": {"delay_secs": 5}}),
        ({"exponential": {"base": 2}}, {"Exponential": {"base_secs": 2, "max_secs": 3600}}),
        (
            {"exponential": {"base": 1, "max": 9, "jitter": 0.5}},
            {"Exponential": {"base_secs": 1, "max_secs": 9}},
        ),
    ],
)
def test_backoff_is_in_the_form_of_the_compatible_workers(engine, backoff, shown):
    engine.put(jobs=only("a", retries=1, **({} if backoff is None else {"backoff": backoff})))
    engine.start()

    assert engine.claim()["job"]["retry_policy"] == {"max_retries": 1, "backoff": shown}


def test_lease_id_can_stand_in_a_path(engine):
    engine.put(jobs=only("a"))
    engine.start()

    assert set(lease_id(engine.claim())) <= set("0123456789abcdef-.")


def test_nothing_to_claim_is_json_null(engine):
    assert engine.call_text("wfg_claim_job", p_worker_id="w1", p_labels="[]") == "null"
    assert engine.call_text("wfg_claim_jobs", p_worker_id="w1", p_labels="[]", p_limit=5) == "[]"

    engine.put(jobs=only("a", labels=["gpu"]))
    engine.start()
    assert engine.call_text("wfg_claim_job", p_worker_id="w1", p_labels="[]") == "null"
    assert engine.call_text("wfg_claim_jobs", p_worker_id="w1", p_labels='["cpu"]', p_limit=5) == "[]"


def test_job_is_claimed_once(engine):
    engine.put(jobs=only("a"))
    engine.start()

    assert engine.claim("w1") is not None
    assert engine.claim("w2") is None
    assert engine.claim("w1") is None


# --- labels ---


LABELS = [  # required, offered, whether they fit
    ([], [], True),
    ([], ["linux"], True),
    (["linux"], [], False),
    (["linux"], ["linux"], True),
    (["linux"], ["linux", "gpu"], True),
    (["linux", "gpu"], ["linux"], False),
    (["linux", "gpu"], ["gpu", "linux"], True),
    (["linux", "gpu"], ["gpu", "linux", "gpu", "linux"], True),
    (["linux"], ["Linux"], False),
    (["linux"], ["linux "], False),
    (["linux"], ["lin", "ux"], False),
    (["%"], ["linux"], False),
    (["\u00fc\U0001f600"], ["\u00fc\U0001f600"], True),
    (["a,b"], ["a", "b"], False),
    (["a,b", '"', "{}", "null", "\\"], ["null", "\\", '"', "{}", "a,b"], True),
]


def test_all_required_labels_must_be_offered(engine):
    for required, offered, fits in LABELS:
        engine.put(jobs=only("a", labels=required))
        run_id = engine.start()
        claim = engine.claim(labels=offered)

        assert (claim is not None) is fits, (required, offered)
        if fits:
            assert claim["job"]["required_labels"] == required
        cancel(engine, run_id)


@pytest.mark.parametrize("late", [False, True], ids=["lanes-first", "label-set-first"])
@pytest.mark.parametrize("lanes", [1, 20])
def test_unlabeled_jobs_are_not_for_a_worker_that_says_so(engine, lanes, late):
    """Whether its lanes or its label set came first, and by the walk over the lanes too."""
    labels = ["!unlabeled", *(f"l{number}" for number in range(lanes))]
    if late:
        assert engine.claim(labels=labels) is None
    plain = {"run": "true"}
    marked = {f"j{number}": {"run": "true", "labels": [f"l{number}"]} for number in range(lanes)}
    engine.put(jobs={"plain": plain, **marked})
    engine.start()

    taken = engine.call("wfg_claim_jobs", p_worker_id="w", p_labels=labels, p_limit=100)
    assert {claim["job"]["job_id"] for claim in taken} == set(marked)
    assert engine.claim(labels=["other"])["job"]["job_id"] == "plain"


def test_labels_count_as_of_each_claim_not_as_registered(engine):
    engine.put(jobs=only("a", "b", labels=["gpu"]))
    engine.start()
    engine.call("wfg_register_worker", p_worker_id="w1", p_labels=["gpu"])

    assert engine.claim("w1", labels=[]) is None
    assert engine.claim("w1", labels=["gpu"]) is not None
    assert engine.claim("w1", labels=["cpu"]) is None
    assert engine.claim("w1", labels=["gpu", "cpu"]) is not None


def test_label_set_learns_of_lanes_that_come_later(engine):
    assert engine.claim(labels=["linux", "gpu"]) is None
    for n, labels in enumerate((["linux"], ["gpu", "linux"], [], ["gpu"])):
        engine.put(f"wf{n}", jobs=only(f"j{n}", labels=labels))
        engine.start(f"wf{n}")

    assert sorted(ids(engine.claim_many(10, labels=["gpu", "linux"]))) == ["j0", "j1", "j2", "j3"]


# --- order ---


def test_first_queued_is_first_claimed(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    started = []
    for _ in range(5):
        started.append(engine.start())
        engine.advance(1)

    assert [engine.claim()["job"]["run_id"] for _ in range(5)] == started


def test_retry_goes_to_the_back(engine):
    engine.set_now(START)
    engine.put(jobs={**only("a", retries=1), **only("b")})
    engine.start()
    first = engine.claim()
    engine.advance(1)
    engine.fail(first, retryable=True)

    assert first["job"]["job_id"] == "a"
    assert claim_ids(engine, 2) == ["b", "a"]


def test_job_given_back_keeps_its_place(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    first = engine.start()
    engine.advance(1)
    second = engine.start()
    engine.advance(1)

    claim = engine.claim()
    assert claim["job"]["run_id"] == first
    engine.call("wfg_release_job", p_lease_id=lease_id(claim))
    assert [engine.claim()["job"]["run_id"] for _ in range(2)] == [first, second]


def test_higher_priority_goes_first_whatever_its_age(engine):
    engine.set_now(START)
    for n, priority in enumerate((0, -100, 100, 1, -1)):
        engine.put(f"wf{n}", jobs=only(f"p{priority}", priority=priority))
        engine.start(f"wf{n}")
        engine.advance(1)

    assert claim_ids(engine, 5) == ["p100", "p1", "p0", "p-1", "p-100"]


def test_priority_counts_across_labels(engine):
    engine.put(
        jobs={
            "low": {"run": "true", "labels": ["linux"], "priority": -5},
            "high": {"run": "true", "labels": ["gpu", "linux"], "priority": 5},
            "usual": {"run": "true"},
        }
    )
    engine.start()

    assert claim_ids(engine, 3, labels=["linux", "gpu"]) == ["high", "usual", "low"]


def test_age_counts_across_labels_of_one_priority(engine):
    engine.set_now(START)
    for n, labels in enumerate((["b"], ["a"], [], ["a", "b"])):
        engine.put(f"wf{n}", jobs=only(f"j{n}", labels=labels))
        engine.start(f"wf{n}")
        engine.advance(1)

    assert claim_ids(engine, 4, labels=["a", "b"]) == ["j0", "j1", "j2", "j3"]


def test_job_of_a_higher_priority_that_waits_keeps_nobody_from_work(engine):
    engine.set_now(START)
    engine.put("late", jobs=only("late", priority=100))
    engine.put("now", jobs=only("now"))
    engine.start("late", start_at=after(60))
    engine.start("now")

    assert engine.claim()["job"]["job_id"] == "now"
    engine.set_now(after(60))
    assert engine.claim()["job"]["job_id"] == "late"


# --- many at once ---


def test_batch_takes_up_to_its_limit(engine):
    engine.put(jobs=only("a", "b", "c"))
    engine.start()

    assert ids(engine.claim_many(2)) == ["a", "b"]
    assert ids(engine.claim_many(1000)) == ["c"]
    assert engine.claim_many(1000) == []


def test_every_claim_of_a_batch_has_a_lease_of_its_own(engine):
    engine.put(jobs=only(*(f"j{n}" for n in range(40))))
    engine.start()
    claims = engine.claim_many(40, worker="w9", ttl=77)

    assert len({lease_id(claim) for claim in claims}) == 40
    assert {(claim["lease"]["worker_id"], claim["lease"]["ttl_secs"]) for claim in claims} == {("w9", 77)}
    assert [engine.complete(claim)["job"] for claim in claims] == ["success"] * 40


def test_batch_over_several_lanes_takes_the_first_of_all(engine):
    engine.set_now(START)
    plan = [
        ("a", ["x"], 0),
        ("b", ["y"], 0),
        ("c", ["x"], 0),
        ("d", [], 0),
        ("e", ["y"], 9),
        ("f", ["x"], -9),
    ]
    for name, labels, priority in plan:
        engine.put(name, jobs=only(name, labels=labels, priority=priority))
        engine.start(name)
        engine.advance(1)

    taken = [ids(engine.claim_many(2, labels=["x", "y"])) for _ in range(4)]
    assert taken == [["e", "a"], ["b", "c"], ["d", "f"], []]


def test_batch_is_filled_from_other_lanes_when_one_is_used_up(engine):
    engine.put("one", jobs=only("a", priority=5))
    engine.put("two", jobs=only(*"bcdefg", labels=["x"]))
    engine.start("one")
    engine.start("two")

    assert sorted(ids(engine.claim_many(5, labels=["x"]))) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("limit", [1, 7])
def test_more_lanes_than_sixteen_are_all_served_in_order(engine, limit):
    engine.set_now(START)
    labels = [f"l{n:02}" for n in range(20)]
    for n, label in enumerate(labels):
        engine.put(label, jobs=only(f"{label}-job", labels=[label], priority=n % 3))
        engine.start(label)
        engine.advance(1)
    expected = [f"l{n:02}-job" for _, n in sorted((-(n % 3), n) for n in range(20))]

    taken = []
    while claims := engine.claim_many(limit, labels=labels):
        taken.append(ids(claims))
    assert [name for batch in taken for name in sorted(batch, key=expected.index)] == expected


def test_of_many_lanes_one_with_delayed_jobs_only_is_no_obstacle(engine):
    engine.set_now(START)
    labels = [f"l{n:02}" for n in range(20)]
    for label in labels:
        engine.put(label, jobs=only(f"{label}-job", labels=[label]))
        engine.start(label, start_at=after(60))
    engine.start("l07")

    assert engine.claim(labels=labels)["job"]["job_id"] == "l07-job"
    assert engine.claim(labels=labels) is None
    engine.set_now(after(60))
    assert len(engine.claim_many(100, labels=labels)) == 20


# --- low-water marks ---


def raise_the_mark(engine):
    """Claims move the lane's mark on; then one job of the backlog is left, and the clock is at 100 s."""
    engine.put(jobs=only("a"))
    old = None
    for n in range(12):
        engine.start()
        engine.set_now(after(n * 2 + 1))
        claim = engine.claim(ttl=86400)
        old = old or claim
    engine.set_now(after(100))
    engine.start()
    engine.start()
    engine.complete(engine.claim())
    (mark,) = engine.query("select low_water_at from wfg.lane_marks where lane_id <> 0")
    assert mark["low_water_at"] > START
    return old


def test_job_released_below_the_mark_is_the_next(engine):
    engine.set_now(START)
    old = raise_the_mark(engine)
    engine.call("wfg_release_job", p_lease_id=lease_id(old))

    assert engine.claim()["job"]["run_id"] == old["job"]["run_id"]


def test_entry_below_the_mark_is_found_when_nothing_lies_above(engine, connect):
    engine.set_now(START)
    raise_the_mark(engine)
    engine.complete(engine.claim())
    late = connect()
    late.set_now(after(3))
    run_id = late.start()
    engine.advance(1.5)  # below the marks claims look once a second

    assert engine.claim()["job"]["run_id"] == run_id
    assert engine.claim() is None


def test_entry_below_the_mark_is_found_within_seconds_under_a_backlog(engine, connect):
    engine.set_now(START)
    raise_the_mark(engine)
    for _ in range(30):
        engine.start()
    late = connect()
    late.set_now(after(3))
    run_id = late.start()

    for second in range(13):
        engine.set_now(after(100 + second))
        if engine.claim()["job"]["run_id"] == run_id:
            return
    pytest.fail("it starved behind the mark")


def test_clock_that_goes_back_hides_nothing(engine):
    engine.set_now(START)
    raise_the_mark(engine)
    engine.complete(engine.claim())
    engine.set_now(after(1))
    run_id = engine.start()

    assert engine.claim()["job"]["run_id"] == run_id


# --- how long ---


@pytest.mark.parametrize("ttl", [1, 2, 30, 3600, 86400])
def test_lease_lasts_as_long_as_asked(engine, ttl):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()

    lease = engine.claim(ttl=ttl)["lease"]
    assert (lease["ttl_secs"], lease["granted_at_ms"], lease["expires_at_ms"]) == (
        ttl,
        ms(START),
        ms(after(ttl)),
    )
    engine.set_now(after(ttl - 0.001))
    assert engine.complete(lease["lease_id"])["job"] == "success"


def test_lease_lasts_thirty_seconds_unless_said(engine):
    engine.put(jobs=only("a"))
    engine.start()
    assert engine.call("wfg_claim_job", p_worker_id="w1", p_labels="[]")["lease"]["ttl_secs"] == 30


def test_lease_of_a_batch_lasts_thirty_seconds_unless_said(engine):
    engine.put(jobs=only("a"))
    engine.start()
    (claim,) = engine.call("wfg_claim_jobs", p_worker_id="w1", p_labels="[]", p_limit=3)
    assert claim["lease"]["ttl_secs"] == 30


@pytest.mark.parametrize(
    ("ttl", "timeout", "lasts"), [(30, 600, 30), (600, 30, 30), (30, 1, 1), (86400, 604800, 86400)]
)
def test_lease_ends_with_the_timeout_at_the_latest(engine, ttl, timeout, lasts):
    engine.set_now(START)
    engine.put(jobs=only("a", timeout=timeout))
    engine.start()

    claim = engine.claim(ttl=ttl)
    assert claim["lease"]["ttl_secs"] == ttl
    assert claim["lease"]["expires_at_ms"] == ms(after(lasts))


# --- bad input ---


GOOD = {"p_worker_id": "w1", "p_labels": "[]"}
BAD = [
    ("p_ttl_secs", 0),
    ("p_ttl_secs", -1),
    ("p_ttl_secs", 86401),
    ("p_ttl_secs", 2147483647),
    ("p_ttl_secs", -2147483648),
    ("p_ttl_secs", None),
    ("p_worker_id", None),
    ("p_worker_id", ""),
    ("p_worker_id", "w" * 201),
    ("p_worker_id", "w" * 1_000_000),
    ("p_labels", None),
    ("p_labels", Raw("null")),
    ("p_labels", Raw("{}")),
    ("p_labels", Raw('"linux"')),
    ("p_labels", Raw("1")),
    ("p_labels", [1]),
    ("p_labels", [None]),
    ("p_labels", ["linux", True]),
    ("p_labels", [["linux"]]),
    ("p_labels", [{}]),
    ("p_labels", ["x" * 201]),
    ("p_labels", ["x" * 1_000_000]),
    ("p_labels", [str(n) for n in range(101)]),
    ("p_labels", incompressible(100, 200)),
    ("p_labels", incompressible(19, 101)),
]


@pytest.mark.parametrize("function", ["wfg_claim_job", "wfg_claim_jobs"])
def test_bad_argument_is_named(refusing, function):
    good = GOOD if function == "wfg_claim_job" else {**GOOD, "p_limit": 1}
    for param, value in BAD:
        diag = refusing.fails(function, status=422, slug="invalid_request", **{**good, param: value})
        assert diag.message_detail.startswith(f"{param}:"), value
        assert len(diag.message_detail) < 1000


@pytest.mark.parametrize("limit", [0, -1, 1001, 2147483647, None])
def test_limit_is_from_1_to_1000(refusing, limit):
    diag = refusing.fails("wfg_claim_jobs", **GOOD, p_limit=limit, status=422, slug="invalid_request")
    assert diag.message_detail.startswith("p_limit:")


@pytest.mark.parametrize(
    ("param", "text"),
    [
        ("p_ttl_secs", "2147483648"),
        ("p_ttl_secs", str(2**64 - 1)),
        ("p_ttl_secs", "1.5"),
        ("p_ttl_secs", "soon"),
        ("p_ttl_secs", ""),
        ("p_labels", ""),
        ("p_labels", "linux"),
        ("p_labels", '["a",]'),
        ("p_labels", '["\\u0000"]'),
        ("p_labels", '["\\ud800"]'),
    ],
)
def test_what_cannot_be_cast_is_refused_by_postgres(refusing, param, text):
    assert sqlstate_of(refusing, "wfg_claim_job", **{**GOOD, param: Raw(text)}) in CANNOT_CAST


def test_odd_labels_of_a_worker_are_taken(engine):
    engine.put(jobs=only("a"))
    for labels in ([""], ["x" * 200], [str(n) for n in range(100)], ["a", "a"], ["\u202e", "'"]):
        engine.start()
        assert engine.claim(labels=labels) is not None, labels


@pytest.mark.parametrize(("count", "length"), [(100, 19), (90, 21), (9, 200)])
def test_labels_of_1900_bytes_are_taken(engine, count, length):
    labels = incompressible(count, length)
    engine.put(jobs=only("a", labels=labels))
    engine.start()
    assert engine.claim(labels=labels) is not None


def test_odd_worker_ids_are_taken(engine):
    engine.put(jobs=only("a"))
    for worker in ("w" * 200, "\U0001f600" * 200, " ", "'; --", "a\nb"):
        engine.start()
        assert engine.claim(worker)["lease"]["worker_id"] == worker


# --- the upkeep that a claim carries ---


def test_claim_takes_over_an_expired_lease(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", retries=1))
    engine.start()
    engine.claim("w1", ttl=10)

    engine.set_now(after(9.999))
    assert engine.claim("w2") is None
    engine.set_now(after(10))
    claim = engine.claim("w2")
    assert (claim["job"]["attempt"], claim["lease"]["worker_id"]) == (1, "w2")


def test_claim_fails_what_is_lost_for_good(engine):
    engine.set_now(START)
    engine.put(jobs=chain(3))
    run_id = engine.start()
    engine.claim(ttl=10)
    engine.set_now(after(10))

    assert engine.claim("w2") is None
    assert engine.state(run_id) == "failure"
    assert engine.jobs(run_id) == {"j1": "failure", "j2": "skipped", "j3": "skipped"}


def test_claim_ends_silent_cancelled_leases(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_workflow(engine)
    engine.claim(ttl=600)
    cancel(engine, "wf")
    engine.set_now(after(60))

    assert engine.claim() is None
    assert engine.query("select true as found from wfg.queue") == []


def test_claim_by_a_worker_without_a_matching_label_does_upkeep_too(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", labels=["gpu"]))
    run_id = engine.start()
    engine.claim(labels=["gpu"])
    engine.advance(31)

    assert engine.claim("other", labels=[]) is None
    assert engine.state(run_id) == "failure"


def test_claim_ends_up_to_a_hundred_leases(engine):
    engine.set_now(START)
    engine.put(jobs=only(*(f"j{n}" for n in range(101))))
    run_id = engine.start()
    engine.claim_many(101)
    engine.advance(31)

    engine.claim("other")
    assert sorted(engine.jobs(run_id).values()) == ["failure"] * 100 + ["running"]
    engine.claim("other")
    assert engine.state(run_id) == "failure"


# --- what is handed on ---


def shell(claim, script):
    """What a command that ends in a script prints."""
    command = claim["job"]["command"]
    done = subprocess.run(
        ["sh", "-c", f"{command}\n{script}"], capture_output=True, text=True, check=True, env={}
    )
    return done.stdout


def test_outputs_and_inputs_reach_the_command(engine):
    hostile = "it's $(echo no) `no` \"\\n\n\u00fc"
    engine.put(
        jobs={"my-test": {"run": "true"}, "b": {"run": "true", "needs": ["my-test"]}},
        inputs={"dry-run": {"type": "string"}},
    )
    engine.start(inputs={"dry-run": hostile})
    engine.complete(engine.claim(), {"the.value": hostile, "empty": ""})

    claim = engine.claim()
    assert claim["job"]["upstream_outputs"] == {"my-test": {"the.value": hostile, "empty": ""}}
    assert claim["job"]["env"] == {
        "INPUT_DRY_RUN": hostile,
        "OUTPUT_MY_TEST_THE_VALUE": hostile,
        "OUTPUT_MY_TEST_EMPTY": "",
    }
    assert (
        shell(claim, 'printf "%s|%s" "$INPUT_DRY_RUN" "$OUTPUT_MY_TEST_THE_VALUE"') == f"{hostile}|{hostile}"
    )


def test_only_direct_parents_hand_on(engine):
    engine.put(jobs=chain(3))
    engine.start()
    engine.complete(engine.claim(), {"x": "1"})
    engine.complete(engine.claim(), {"y": "2"})

    assert engine.claim()["job"]["upstream_outputs"] == {"j2": {"y": "2"}}


def test_parent_without_outputs_is_named_all_the_same(engine):
    engine.put(jobs=chain(2))
    engine.start()
    engine.complete(engine.claim())

    assert engine.claim()["job"]["upstream_outputs"] == {"j1": {}}


def test_outputs_that_become_one_name_are_not_exported(engine):
    engine.put(jobs=chain(2))
    engine.start()
    engine.complete(engine.claim(), {"a-b": "1", "a.b": "2", "c": "3"})

    claim = engine.claim()
    assert claim["job"]["env"] == {"OUTPUT_J1_C": "3"}
    assert claim["job"]["upstream_outputs"] == {"j1": {"a-b": "1", "a.b": "2", "c": "3"}}


@pytest.mark.parametrize(("size", "exported"), [(32768, True), (32769, False)])
def test_value_over_32_kib_is_not_exported(engine, size, exported):
    engine.put(jobs=chain(2))
    engine.start()
    engine.complete(engine.claim(), {"big": "x" * size})

    claim = engine.claim()
    assert ("OUTPUT_J1_BIG" in claim["job"]["env"]) is exported
    assert ("OUTPUT_J1_BIG" in claim["job"]["command"]) is exported
    assert len(claim["job"]["upstream_outputs"]["j1"]["big"]) == size


def test_env_of_the_file_wins_over_what_is_given(engine):
    engine.put(
        jobs=only("a", env={"INPUT_WHO": "the file"}),
        inputs={"who": {"type": "string", "default": "the run"}},
    )
    engine.start()

    claim = engine.claim()
    assert claim["job"]["env"] == {"INPUT_WHO": "the file"}
    assert shell(claim, 'echo "$INPUT_WHO"') == "the file\n"


def test_a_claim_waits_half_a_second_at_most(connect, engine):
    """Whatever it is made to wait for, here a table that is altered; it took nothing, and may ask again."""
    engine.put(jobs=only("a"))
    engine.start()
    other = connect()

    with other.connection.transaction():
        other.query("lock table wfg.queue in access exclusive mode")
        engine.query("set statement_timeout = '20s'")
        assert sqlstate_of(engine, "wfg_claim_job", p_worker_id="w", p_labels=[]) == "55P03"
        assert sqlstate_of(engine, "wfg_claim_jobs", p_worker_id="w", p_labels=[], p_limit=5) == "55P03"

    assert claim_ids(engine, 1) == ["a"]
