"""wfg_report_jobs: many reports in one transaction, each by itself accepted or refused."""

import json

import pytest

from tests.arrange import CANNOT_CAST, START, cancel, chain, engine_on, only, sqlstate_of
from tests.engine import Raw, lease_id
from tests.measure import time_of


@pytest.fixture(scope="module")
def refusing(new_database, template):
    """An engine with one claim, `engine.lease`, that no malformed batch may report."""
    with engine_on(new_database(template)) as engine:
        engine.put(jobs=only("a"))
        engine.start()
        engine.lease = lease_id(engine.claim(ttl=86400))
        yield engine
        assert engine.complete(engine.lease)["run"] == "success"


def report(engine, *items, **params):
    return engine.call("wfg_report_jobs", p_reports=list(items), **params)


def success(claim, **more):
    return {"lease_id": lease_id(claim), "outcome": "success", **more}


def failure(claim, **more):
    return {"lease_id": lease_id(claim), "outcome": "failure", "error": "boom", **more}


def test_answers_stand_in_the_order_sent(engine):
    engine.put(jobs=only("a", "b", "c", "d"))
    run_id = engine.start()
    a, b, c, d = engine.claim_many(4)
    nonsense = {"lease_id": "nonsense", "outcome": "success"}

    text = engine.call_text(
        "wfg_report_jobs", p_reports=[success(d), nonsense, failure(b), success(a, outputs={"x": "1"})]
    )
    assert json.dumps(json.loads(text)) == json.dumps(
        [
            {"lease_id": lease_id(d), "ok": True, "job": "success", "run": "running"},
            {"lease_id": "nonsense", "ok": False, "message": "lease_not_held"},
            {"lease_id": lease_id(b), "ok": True, "job": "failure", "run": "running"},
            {"lease_id": lease_id(a), "ok": True, "job": "success", "run": "running"},
        ]
    )
    assert engine.jobs(run_id) == {"a": "success", "b": "failure", "c": "running", "d": "success"}
    assert report(engine, success(c)) == [
        {"lease_id": lease_id(c), "ok": True, "job": "success", "run": "failure"}
    ]


def test_report_that_ends_the_run_says_so_for_all_of_it(engine):
    engine.put(jobs=only("a", "b"))
    engine.start()

    answers = report(engine, *[success(claim) for claim in engine.claim_many(2)])
    assert [answer["run"] for answer in answers] == ["success", "success"]


def test_nothing_to_report_is_answered_with_nothing(engine):
    assert engine.call_text("wfg_report_jobs", p_reports="[]") == "[]"
    assert engine.call_text("wfg_report_jobs", p_reports="[]", p_strict=True) == "[]"


def test_one_batch_spans_runs_and_workflows(engine):
    engine.put("one", jobs=chain(2))
    engine.put("other", jobs=only("x"))
    runs = [engine.start("one"), engine.start("one"), engine.start("other")]
    claims = engine.claim_many(3)

    assert [answer["run"] for answer in report(engine, *map(success, claims))] == [
        {runs[0]: "running", runs[1]: "running", runs[2]: "success"}[claim["job"]["run_id"]]
        for claim in claims
    ]
    assert len(engine.claim_many(9)) == 2


def test_whole_batch_of_parents_readies_their_child_once(engine):
    engine.put(jobs={**only("a", "b", "c"), "sink": {"run": "true", "needs": ["a", "b", "c"]}})
    engine.start()
    report(engine, *map(success, engine.claim_many(3)))

    assert [claim["job"]["job_id"] for claim in engine.claim_many(9)] == ["sink"]


def test_success_and_final_failure_of_two_parents_skip_their_child(engine):
    engine.put(jobs={**only("a", "b"), "sink": {"run": "true", "needs": ["a", "b"]}})
    run_id = engine.start()
    a, b = engine.claim_many(2)

    report(engine, success(a), failure(b))
    assert engine.jobs(run_id) == {"a": "success", "b": "failure", "sink": "skipped"}
    assert engine.state(run_id) == "failure"


@pytest.mark.parametrize("order", [1, -1])
def test_first_of_two_reports_of_a_lease_counts(engine, order):
    engine.put(jobs=only("a"))
    run_id = engine.start()
    claim = engine.claim()

    first, second = [success(claim, outputs={"n": "1"}), failure(claim)][::order]
    answers = report(engine, first, second)
    assert [(answer["ok"], answer.get("message")) for answer in answers] == [
        (True, None),
        (False, "already_reported"),
    ]
    assert engine.jobs(run_id) == {"a": first["outcome"]}


def test_batch_sent_again_is_told_that_it_was_reported(engine):
    engine.put(jobs=only("a", "b", retries=1))
    engine.start()
    a, b = engine.claim_many(2)
    batch = [success(a), failure(b, retryable=True)]

    assert [answer["job"] for answer in report(engine, *batch)] == ["success", "queued"]
    assert [answer["message"] for answer in report(engine, *batch)] == ["already_reported"] * 2


def test_cancelled_leases_answer_as_they_do_alone(engine):
    engine.put(jobs=only("a", "b"))
    run_id = engine.start()
    a, b = engine.claim_many(2)
    cancel(engine, run_id)

    assert report(engine, success(a), failure(b)) == [
        {"lease_id": lease_id(a), "ok": False, "message": "lease_cancelled"},
        {"lease_id": lease_id(b), "ok": True, "job": "cancelled", "run": "cancelled"},
    ]
    assert report(engine, failure(a))[0]["ok"]


def test_expired_leases_are_refused(engine):
    engine.set_now(START)
    engine.put(jobs=only("a", "b"))
    engine.start()
    (a,) = engine.claim_many(1, ttl=10)
    (b,) = engine.claim_many(1, ttl=20)
    engine.advance(10)

    assert [answer["ok"] for answer in report(engine, success(a), success(b))] == [False, True]


def test_refused_items_do_not_slow_the_others(engine):
    """Each item asks whether it was accepted: not by a look through all that were."""
    engine.put(jobs=only(*[f"j{n}" for n in range(1000)]))
    for _ in range(8):
        engine.start()
    leases = [lease for _ in range(8) for lease in engine.claim_many(1000, ttl=86400)]
    none, some = [success(lease) for lease in leases[:4000]], [success(lease) for lease in leases[4000:]]
    some += [{"lease_id": "nonsense", "outcome": "success"}] * 500

    engine.query("set log_statement_stats = on")
    engine.query("set client_min_messages = log")
    query = "select public.wfg_report_jobs(%s)"
    base, mixed = (time_of(engine, query, json.dumps(batch)) for batch in (none, some))
    assert mixed < 2 * base


# --- strict ---


def test_strict_batch_without_a_refusal_is_as_any(engine):
    engine.put(jobs=only("a", "b"))
    run_id = engine.start()

    answers = report(engine, *map(success, engine.claim_many(2)), p_strict=True)
    assert [answer["ok"] for answer in answers] == [True, True]
    assert engine.state(run_id) == "success"


def unknown(engine, claim):
    return {"lease_id": "nonsense", "outcome": "success"}


def cancelled(engine, claim):
    cancel(engine, claim["job"]["run_id"])
    return success(claim)


def reported(engine, claim):
    engine.complete(claim)
    return success(claim)


@pytest.mark.parametrize(
    ("refused", "slug", "detail"),
    [
        (unknown, "lease_not_held", "There is no such lease."),
        (cancelled, "lease_cancelled", "The job is cancelled."),
        (reported, "already_reported", "The job is success."),
    ],
)
def test_strict_batch_counts_whole_or_not_at_all(engine, refused, slug, detail):
    engine.put(jobs=chain(2))
    run_id = engine.start()
    first = engine.claim()
    engine.start()
    item = refused(engine, engine.claim())

    diag = engine.fails(
        "wfg_report_jobs", p_reports=[success(first), item], p_strict=True, status=409, slug=slug
    )
    assert diag.message_detail == detail
    assert engine.jobs(run_id) == {"j1": "running", "j2": "queued"}
    assert report(engine, success(first), item) == [
        {"lease_id": lease_id(first), "ok": True, "job": "success", "run": "running"},
        {"lease_id": item["lease_id"], "ok": False, "message": slug},
    ]


def test_null_strict_means_not_strict(engine):
    engine.put(jobs=only("a"))
    engine.start()
    answers = report(engine, success(engine.claim()), unknown(engine, None), p_strict=None)

    assert [answer["ok"] for answer in answers] == [True, False]


# --- malformed batches ---


@pytest.mark.parametrize(
    ("items", "named"),
    [
        ('{"lease_id":"x","outcome":"success"}', "p_reports"),
        ("null", "p_reports"),
        (None, "p_reports"),
        ('"x"', "p_reports"),
        ("[GOOD,null]", "p_reports[1]"),
        ("[GOOD,[]]", "p_reports[1]"),
        ('[GOOD,"x"]', "p_reports[1]"),
        ("[GOOD,{}]", "p_reports[1].lease_id"),
        ('[GOOD,{"lease_id":null,"outcome":"success"}]', "p_reports[1].lease_id"),
        ('[GOOD,{"lease_id":7,"outcome":"success"}]', "p_reports[1].lease_id"),
        ('[GOOD,{"lease_id":"x"}]', "p_reports[1].outcome"),
        ('[GOOD,{"lease_id":"x","outcome":null}]', "p_reports[1].outcome"),
        ('[GOOD,{"lease_id":"x","outcome":"release"}]', "p_reports[1].outcome"),
        ('[GOOD,{"lease_id":"x","outcome":"Success"}]', "p_reports[1].outcome"),
        ('[GOOD,{"lease_id":"x","outcome":true}]', "p_reports[1].outcome"),
        ('[GOOD,{"lease_id":"x","outcome":"failure"}]', "p_reports[1].error"),
        ('[GOOD,{"lease_id":"x","outcome":"failure","error":null}]', "p_reports[1].error"),
        ('[GOOD,{"lease_id":"x","outcome":"failure","error":{}}]', "p_reports[1].error"),
        ('[GOOD,{"lease_id":"x","outcome":"success","error":1}]', "p_reports[1].error"),
        ('[GOOD,{"lease_id":"x","outcome":"failure","error":"","retryable":"no"}]', "p_reports[1].retryable"),
        ('[GOOD,{"lease_id":"x","outcome":"failure","error":"","retryable":0}]', "p_reports[1].retryable"),
        ('[GOOD,{"lease_id":"x","outcome":"success","outputs":[]}]', "p_reports[1].outputs"),
        ('[GOOD,{"lease_id":"x","outcome":"success","outputs":"x"}]', "p_reports[1].outputs"),
        ('[GOOD,{"lease_id":"x","outcome":"success","outputs":{"n":1}}]', "p_reports[1].outputs.n"),
        ('[GOOD,{"lease_id":"x","outcome":"success","outputs":{"n":null}}]', "p_reports[1].outputs.n"),
        (
            '[GOOD,{"lease_id":"x","outcome":"success","outputs":{"n":"' + "x" * 1048576 + '"}}]',
            "p_reports[1].outputs",
        ),
        ("[" + "{}," * 10000 + "{}]", "p_reports"),
        ('[GOOD,{"lease_id":"x"},{}]', "p_reports[1].outcome"),
    ],
)
def test_malformed_item_is_named_and_the_batch_is_refused(refusing, items, named):
    good = json.dumps({"lease_id": refusing.lease, "outcome": "success"})
    sent = None if items is None else Raw(items.replace("GOOD", good))

    for strict in (False, True):
        diag = refusing.fails(
            "wfg_report_jobs", p_reports=sent, p_strict=strict, status=422, slug="invalid_request"
        )
        assert diag.message_detail.startswith(f"{named}: "), diag.message_detail


@pytest.mark.parametrize("text", ["", "[", '[{"lease_id":"\\u0000","outcome":"success"}]', "[{]"])
def test_what_is_no_json_is_refused_by_postgres(refusing, text):
    assert sqlstate_of(refusing, "wfg_report_jobs", p_reports=Raw(text)) in CANNOT_CAST


def test_nulls_and_unknown_fields_of_an_item_mean_nothing(engine):
    engine.put(jobs=only("a", "b"))
    engine.start()
    a, b = engine.claim_many(2)

    answers = report(engine, success(a, outputs=None, error=None, more=[1]), failure(b, outputs=None))
    assert [answer["ok"] for answer in answers] == [True, True]


def test_ten_thousand_reports_take_seconds(engine):
    items = [{"lease_id": f"nonsense {n}", "outcome": "success"} for n in range(10000)]
    answers = report(engine, *items)

    assert [answer["lease_id"] for answer in answers] == [item["lease_id"] for item in items]
    assert not any(answer["ok"] for answer in answers)


def test_thousand_claims_are_reported_in_one_call(engine):
    engine.put(jobs=only(*(f"j{n}" for n in range(1000))))
    run_id = engine.start()
    answers = report(engine, *map(success, engine.claim_many(1000)))

    assert {(answer["ok"], answer["job"], answer["run"]) for answer in answers} == {
        (True, "success", "success")
    }
    assert engine.state(run_id) == "success"


# --- the single form: wfg_complete_job, wfg_fail_job ---


@pytest.mark.parametrize(
    "text", ["[]", '"x"', "1", "null", '{"n":1}', '{"n":null}', '{"n":{}}', '{"n":["x"]}']
)
def test_outputs_must_be_an_object_of_strings(refusing, text):
    diag = refusing.fails(
        "wfg_complete_job", p_lease_id=refusing.lease, p_outputs=Raw(text), status=422, slug="invalid_request"
    )
    assert diag.message_detail.startswith("p_outputs")


def test_null_outputs_are_refused(refusing):
    refusing.fails(
        "wfg_complete_job", p_lease_id=refusing.lease, p_outputs=None, status=422, slug="invalid_request"
    )


def test_outputs_may_be_left_out(engine):
    engine.put(jobs=only("a"))
    engine.start()
    claim = engine.claim()
    assert engine.call("wfg_complete_job", p_lease_id=lease_id(claim)) == {"job": "success", "run": "success"}


def test_outputs_of_more_than_a_mebibyte_are_refused(refusing):
    for outputs in ({"n": "x" * 1048576}, {f"n{n}": "x" * 1000 for n in range(1050)}):
        diag = refusing.fails(
            "wfg_complete_job",
            p_lease_id=refusing.lease,
            p_outputs=outputs,
            status=422,
            slug="invalid_request",
        )
        assert "must be at most 1048576 bytes" in diag.message_detail
        assert diag.message_detail.endswith("limit job_output_bytes")


@pytest.mark.parametrize("text", ["", "{", '{"a":"\\u0000"}', '{"a":"\\ud800"}', "x" * 1_000_000])
def test_outputs_that_are_no_json_are_refused_by_postgres(refusing, text):
    state = sqlstate_of(refusing, "wfg_complete_job", p_lease_id=refusing.lease, p_outputs=Raw(text))
    assert state in CANNOT_CAST


def test_failure_needs_an_error(refusing):
    diag = refusing.fails(
        "wfg_fail_job", p_lease_id=refusing.lease, p_error=None, status=422, slug="invalid_request"
    )
    assert diag.message_detail.startswith("p_error:")


@pytest.mark.parametrize("text", ["maybe", "", "2"])
def test_retryable_must_be_a_boolean(refusing, text):
    state = sqlstate_of(
        refusing, "wfg_fail_job", p_lease_id=refusing.lease, p_error="", p_retryable=Raw(text)
    )
    assert state in CANNOT_CAST


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("", ""),
        ("boom", "boom"),
        ("it's 'quoted' \\ \"\n\t\u00fc\U0001f600", "it's 'quoted' \\ \"\n\t\u00fc\U0001f600"),
        ("x" * 65536, "x" * 65536),
        ("head" + "x" * 65536, "x" * 65536),
        ("x" * 1_000_000 + "the tail", "x" * (65536 - 8) + "the tail"),
    ],
)
def test_the_tail_of_an_error_is_kept(engine, sent, kept):
    engine.put(jobs=only("a", "b"))
    run_id = engine.start()
    a, b = engine.claim_many(2)
    engine.fail(a, sent)
    report(engine, failure(b, error=sent))

    jobs = engine.call("wfg_get_run", p_run_id=run_id)["jobs"]
    assert [job["error"] for job in jobs] == [kept, kept]
