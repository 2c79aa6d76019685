"""wfg_append_logs, wfg_list_logs, wfg_read_logs: what a worker wrote, once and in order."""

import json

import pytest

from tests.arrange import (
    CANNOT_CAST,
    DOORS,
    NO_IDS,
    NO_RUN,
    START,
    append,
    cancel,
    chunk,
    engine_on,
    only,
    run_by,
    run_workflow,
    sqlstate_of,
)
from tests.engine import Raw, lease_id

CAP = 16 * 1024 * 1024


@pytest.fixture(scope="module")
def refusing(new_database, template):
    """An engine with one claim, `engine.held`, whose log stays empty."""
    with engine_on(new_database(template)) as engine:
        engine.put(jobs=only("a"))
        run_id = engine.start()
        engine.held = engine.claim(ttl=86400)
        yield engine
        assert engine.call("wfg_list_logs", p_workflow_id=run_id, p_job_id="a") == []


@pytest.fixture
def claim(engine):
    """A claim of a job with one retry."""
    engine.set_now(START)
    engine.put(jobs=only("a", retries=1))
    engine.start()
    return engine.claim()


def listed(engine, claim, any_id=None):
    return engine.call("wfg_list_logs", p_workflow_id=any_id or claim["job"]["workflow_id"], p_job_id="a")


def texts(engine, claim):
    return [c["data"] for c in listed(engine, claim)]


def read(engine, claim, cursor=None, **params):
    return engine.call(
        "wfg_read_logs", p_workflow_id=claim["job"]["run_id"], p_job_id="a", p_cursor=cursor, **params
    )


# --- append and list ---


def test_chunks_come_back_as_they_were_sent(engine, claim):
    sent = [
        chunk(claim, 0, "it's\n"),
        chunk(claim, 1, '\u00fc\U0001f600\t\\ "\r\n', stream="stderr", timestamp_ms=0),
        chunk(claim, 2, "", timestamp_ms=2**53 - 1),
    ]
    assert append(engine, claim, *sent) == {"accepted": 3, "truncated": False}

    found = listed(engine, claim)
    assert json.dumps(found) == json.dumps(sent)


def test_log_is_in_the_order_of_sequence_whatever_came_first(engine, claim):
    append(engine, claim, chunk(claim, 2, "c"))
    append(engine, claim, chunk(claim, 3, "d"), chunk(claim, 0, "a"))
    append(engine, claim, chunk(claim, 1, "b"))

    assert texts(engine, claim) == ["a", "b", "c", "d"]


def test_attempts_follow_each_other_though_each_counts_from_zero(engine, claim):
    append(engine, claim, chunk(claim, 0, "first 0"), chunk(claim, 1, "first 1"))
    engine.fail(claim, retryable=True)
    again = engine.claim()
    append(engine, again, chunk(again, 0, "second 0"))

    assert texts(engine, claim) == ["first 0", "first 1", "second 0"]


def test_append_sent_again_is_stored_once(engine, claim):
    batch = [chunk(claim, n, f"{n}") for n in range(3)]
    assert append(engine, claim, *batch[:2]) == {"accepted": 2, "truncated": False}
    assert append(engine, claim, *batch) == {"accepted": 3, "truncated": False}
    assert append(engine, claim, *batch) == {"accepted": 3, "truncated": False}

    assert texts(engine, claim) == ["0", "1", "2"]


def test_first_of_two_chunks_of_one_sequence_stays(engine, claim):
    append(engine, claim, chunk(claim, 0, "one"))
    append(engine, claim, chunk(claim, 0, "other"))
    assert texts(engine, claim) == ["one"]


def test_sequence_twice_in_one_append_is_stored_once(engine, claim):
    append(engine, claim, chunk(claim, 0, "one"), chunk(claim, 0, "one"))
    assert texts(engine, claim) == ["one"]


def test_nothing_may_be_appended(engine, claim):
    assert append(engine, claim) == {"accepted": 0, "truncated": False}
    assert listed(engine, claim) == []


def test_sequence_may_have_gaps_and_be_large(engine, claim):
    append(engine, claim, chunk(claim, 2**53 - 1, "z"), chunk(claim, 7, "a"))
    assert texts(engine, claim) == ["a", "z"]


def test_whole_numbers_may_have_a_decimal_point(engine, claim):
    append(engine, claim, chunk(claim, 0, "a", timestamp_ms=1893456000000.0), chunk(claim, 1.0, "b"))
    assert texts(engine, claim) == ["a", "b"]


def test_release_deletes_the_log_of_its_attempt_only(engine, claim):
    append(engine, claim, chunk(claim, 0, "first"))
    engine.fail(claim, retryable=True)
    second = engine.claim()
    append(engine, second, chunk(second, 0, "given back"))
    engine.call("wfg_release_job", p_lease_id=lease_id(second))
    assert texts(engine, claim) == ["first"]

    third = engine.claim()
    append(engine, third, chunk(third, 0, "third"))
    assert texts(engine, claim) == ["first", "third"]


def test_cancelled_lease_may_still_append_and_keeps_it_when_given_back(engine, claim):
    cancel(engine, claim["job"]["run_id"])
    append(engine, claim, chunk(claim, 0, "last words"))
    engine.call("wfg_release_job", p_lease_id=lease_id(claim))

    assert texts(engine, claim) == ["last words"]


def test_log_of_a_lost_attempt_stays(engine, claim):
    append(engine, claim, chunk(claim, 0, "lost"))
    engine.advance(30)
    again = engine.claim()
    append(engine, again, chunk(again, 0, "found"))

    assert texts(engine, claim) == ["lost", "found"]


def test_logs_of_jobs_and_runs_do_not_mix(engine):
    engine.put(jobs=only("a", "b"))
    runs = [engine.start(), engine.start()]
    for claim in engine.claim_many(4):
        append(engine, claim, chunk(claim, 0, f"{claim['job']['run_id']} {claim['job']['job_id']}"))

    for run_id in runs:
        for name in ("a", "b"):
            found = engine.call("wfg_list_logs", p_workflow_id=run_id, p_job_id=name)
            assert [c["data"] for c in found] == [f"{run_id} {name}"]


# --- ids ---


@pytest.mark.parametrize("door", DOORS)
def test_ids_of_the_claim_agree(engine, door):
    engine.put(jobs=only("a"))
    run_id = run_by(engine, door)
    claim = engine.claim()
    assert append(engine, claim, chunk(claim, 0, "x"))["accepted"] == 1
    assert append(engine, claim, chunk(claim, 1, "y", workflow_id=run_id))["accepted"] == 1

    for any_id in {run_id, claim["job"]["workflow_id"]}:
        found = listed(engine, claim, any_id)
        assert [(c["data"], c["workflow_id"]) for c in found] == [("x", any_id), ("y", any_id)]


@pytest.mark.parametrize(
    ("door", "wrong"),
    [
        ("run", {"workflow_id": "wf"}),
        ("run", {"workflow_id": "other"}),
        ("run", {"workflow_id": NO_RUN}),
        ("run", {"workflow_id": ""}),
        ("run", {"job_id": "b"}),
        ("run", {"job_id": ""}),
        ("workflow", {"workflow_id": "other"}),
        ("workflow", {"workflow_id": NO_RUN}),
        ("workflow", {"job_id": "b"}),
        ("workflow", {"job_id": "A"}),
    ],
)
def test_ids_of_another_job_are_refused(engine, door, wrong):
    engine.put(jobs=only("a", "b"))
    run_by(engine, door)
    claim = engine.claim()
    diag = engine.fails(
        "wfg_append_logs",
        p_lease_id=lease_id(claim),
        p_chunks=[chunk(claim, 0), chunk(claim, 1, **wrong)],
        status=422,
        slug="invalid_request",
    )
    assert diag.message_detail == "p_chunks[1]: workflow_id and job_id must be those of the lease"
    assert listed(engine, claim) == []


def test_workflow_id_reads_the_latest_run_of_the_door(engine):
    engine.set_now(START)
    engine.put(jobs=only("a"))
    for n in range(2):
        engine.advance(1)
        run_workflow(engine)
        claim = engine.claim()
        append(engine, claim, chunk(claim, 0, f"run {n}"))
        engine.complete(claim)
    engine.start()
    other = engine.claim()
    append(engine, other, chunk(other, 0, "other door"))

    assert [c["data"] for c in engine.call("wfg_list_logs", p_workflow_id="wf", p_job_id="a")] == ["run 1"]


@pytest.mark.parametrize("name", NO_IDS)
def test_log_of_unknown_ids_is_empty(refusing, name):
    assert refusing.call_text("wfg_list_logs", p_workflow_id=NO_IDS[name], p_job_id="a") == "[]"


@pytest.mark.parametrize("name", [None, "", "nobody", "A", "x" * 1_000_000])
def test_log_of_an_unknown_job_is_empty(refusing, name):
    run_id = refusing.held["job"]["run_id"]
    assert refusing.call_text("wfg_list_logs", p_workflow_id=run_id, p_job_id=name) == "[]"
    refusing.fails("wfg_read_logs", p_workflow_id=run_id, p_job_id=name, status=404, slug="job_not_found")


# --- malformed chunks ---


@pytest.mark.parametrize(
    ("chunks", "named"),
    [
        (None, "p_chunks"),
        ("null", "p_chunks"),
        ("{}", "p_chunks"),
        ('"x"', "p_chunks"),
        ("[GOOD,null]", "p_chunks[1]"),
        ("[GOOD,[]]", "p_chunks[1]"),
        ("[GOOD,1]", "p_chunks[1]"),
        ("[" + "GOOD," * 10000 + "GOOD]", "p_chunks"),
    ],
)
def test_chunks_must_be_an_array_of_objects(refusing, chunks, named):
    good = json.dumps(chunk(refusing.held))
    diag = refusing.fails(
        "wfg_append_logs",
        p_lease_id=lease_id(refusing.held),
        p_chunks=None if chunks is None else Raw(chunks.replace("GOOD", good)),
        status=422,
        slug="invalid_request",
    )
    assert diag.message_detail.startswith(f"{named}: ")


ABSENT = object()


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("workflow_id", [ABSENT, None, 1, [], {}]),
        ("job_id", [ABSENT, None, 1, True]),
        ("sequence", [ABSENT, None, "0", -1, 0.5, 2**53, 1e300, True, []]),
        ("data", [ABSENT, None, 1, ["x"], {}]),
        ("timestamp_ms", [ABSENT, None, "0", -1, 0.5, 2**53, 10**40, "now"]),
        ("stream", [ABSENT, None, "", "STDOUT", "stdin", 1, ["stdout"]]),
    ],
)
def test_bad_field_is_named(refusing, field, values):
    for value in values:
        bad = chunk(refusing.held, 1, **{field: value})
        if value is ABSENT:
            del bad[field]
        diag = refusing.fails(
            "wfg_append_logs",
            p_lease_id=lease_id(refusing.held),
            p_chunks=[chunk(refusing.held), bad],
            status=422,
            slug="invalid_request",
        )
        assert diag.message_detail.startswith(f"p_chunks[1].{field}: "), value


@pytest.mark.parametrize("text", ["", "[", '[{"data":"\\u0000"}]', '[{"data":"\\udc00"}]'])
def test_what_is_no_json_is_refused_by_postgres(refusing, text):
    state = sqlstate_of(refusing, "wfg_append_logs", p_lease_id=lease_id(refusing.held), p_chunks=Raw(text))
    assert state in CANNOT_CAST


def test_unknown_fields_of_a_chunk_are_ignored(engine, claim):
    assert append(engine, claim, chunk(claim, 0, more=[1], attempt=99))["accepted"] == 1
    assert set(listed(engine, claim)[0]) == set(chunk(claim))


def test_ten_thousand_chunks_fit_in_one_append(engine, claim):
    answer = append(engine, claim, *(chunk(claim, n) for n in range(10000)))
    assert answer == {"accepted": 10000, "truncated": False}


# --- the cap ---

MIB = "x" * 1024 * 1024


def fill(engine, claim, mebibytes, first=0):
    for n in range(first, first + mebibytes, 4):
        batch = [chunk(claim, k, MIB) for k in range(n, min(n + 4, first + mebibytes))]
        assert append(engine, claim, *batch) == {"accepted": len(batch), "truncated": False}


def stored(engine):
    return engine.query(
        "select sequence::int, octet_length(data)::int as bytes, left(data, 5) as head, stream"
        " from wfg.log_chunks order by attempt, sequence"
    )


def test_log_is_cut_at_its_cap_with_a_marker(engine, claim):
    fill(engine, claim, 16)
    assert append(engine, claim, chunk(claim, 16, "over")) == {"accepted": 0, "truncated": True}
    assert append(engine, claim, chunk(claim, 17, "o"), chunk(claim, 18, "o")) == {
        "accepted": 0,
        "truncated": True,
    }

    rows = stored(engine)
    assert [row["sequence"] for row in rows] == list(range(17))
    assert (rows[-1]["head"], rows[-1]["stream"]) == ("[wfg:", "stderr")
    assert sum(row["bytes"] for row in rows[:-1]) == CAP
    assert engine.complete(claim)["job"] == "success"


def test_of_an_append_over_the_cap_the_first_chunks_stay(engine, claim):
    fill(engine, claim, 15)
    batch = [chunk(claim, 15, MIB[:-10]), chunk(claim, 16, "x" * 11), chunk(claim, 17, "y")]

    answer = append(engine, claim, *batch)
    assert answer == {"accepted": 1, "truncated": True}
    assert [row["sequence"] for row in stored(engine)] == list(range(17))


def test_attempts_share_the_cap(engine, claim):
    fill(engine, claim, 16)
    engine.fail(claim, retryable=True)
    again = engine.claim()

    assert append(engine, again, chunk(again, 0, "x")) == {"accepted": 0, "truncated": True}
    assert [(row["sequence"], row["head"]) for row in stored(engine)][-1] == (0, "[wfg:")


def test_jobs_do_not_share_the_cap(engine):
    engine.put(jobs=only("a", "b"))
    engine.start()
    a, b = engine.claim_many(2)
    fill(engine, a, 16)

    assert append(engine, b, chunk(b, 0, "x")) == {"accepted": 1, "truncated": False}


@pytest.mark.parametrize("before", [16, 12])
def test_log_given_back_gives_its_room_back(engine, claim, before):
    fill(engine, claim, before)
    append(engine, claim, chunk(claim, before, MIB * 5))
    engine.call("wfg_release_job", p_lease_id=lease_id(claim))
    again = engine.claim()

    fill(engine, again, 16)
    assert append(engine, again, chunk(again, 16, "over"))["truncated"]
    assert len(stored(engine)) == 17


def test_bytes_are_counted_not_characters(engine, claim):
    fill(engine, claim, 15)
    assert append(engine, claim, chunk(claim, 15, "\u00fc" * (512 * 1024)))["accepted"] == 1
    assert append(engine, claim, chunk(claim, 16, "x"))["truncated"]


# --- reading from a cursor ---


def test_reader_goes_on_from_its_cursor(engine, claim):
    append(engine, claim, *(chunk(claim, n, f"{n}") for n in range(5)))

    first = read(engine, claim, p_limit=2)
    second = read(engine, claim, first["next_cursor"], p_limit=2)
    third = read(engine, claim, second["next_cursor"])
    assert [[c["data"] for c in page["items"]] for page in (first, second, third)] == [
        ["0", "1"],
        ["2", "3"],
        ["4"],
    ]
    assert read(engine, claim, third["next_cursor"]) == {"items": [], "next_cursor": third["next_cursor"]}
    append(engine, claim, chunk(claim, 5, "5"))
    assert [c["data"] for c in read(engine, claim, third["next_cursor"])["items"]] == ["5"]


def test_reader_sees_the_attempt(engine, claim):
    append(engine, claim, chunk(claim, 0, "x"))
    first = read(engine, claim)
    engine.fail(claim, retryable=True)
    again = engine.claim()
    append(engine, again, chunk(again, 0, "y"))
    second = read(engine, claim, first["next_cursor"])

    assert json.dumps(first["items"] + second["items"]) == json.dumps(
        [
            {
                "workflow_id": claim["job"]["run_id"],
                "job_id": "a",
                "attempt": n,
                "sequence": 0,
                "data": data,
                "timestamp_ms": 1893456000000,
                "stream": "stdout",
            }
            for n, data in enumerate("xy")
        ]
    )


def test_empty_log_has_a_cursor_to_go_on_from(engine, claim):
    page = read(engine, claim)
    assert list(page) == ["items", "next_cursor"]
    assert page["items"] == []
    append(engine, claim, chunk(claim, 0, "x"))
    assert [c["data"] for c in read(engine, claim, page["next_cursor"])["items"]] == ["x"]


def test_reading_in_pages_of_any_size_gives_the_whole_log(engine, claim):
    append(engine, claim, *(chunk(claim, n, f"{n}") for n in range(50)))
    engine.fail(claim, retryable=True)
    again = engine.claim()
    append(engine, again, *(chunk(again, n, f"{n}") for n in range(50)))
    whole = texts(engine, claim)

    for limit in (1, 7, 50, 10000):
        found, cursor = [], None
        while (page := read(engine, claim, cursor, p_limit=limit))["items"]:
            found += [c["data"] for c in page["items"]]
            cursor = page["next_cursor"]
        assert found == whole


@pytest.mark.parametrize("name", NO_IDS)
def test_reading_of_unknown_ids_is_not_found(refusing, name):
    slug = "run_not_found" if name == "a run that is not there" else "workflow_not_found"
    refusing.fails("wfg_read_logs", p_workflow_id=NO_IDS[name], p_job_id="a", status=404, slug=slug)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "0",
        "0.",
        ".0",
        "0.0.0",
        "-1.0",
        "0.-2",
        "a.b",
        "0.1e3",
        "0.0\n",
        " 0.0",
        "9" * 10 + ".0",
        "0." + "9" * 17,
        "\u0661.0",
        "0,0",
        NO_RUN,
        "x" * 1_000_000,
    ],
)
def test_what_is_no_cursor_is_refused(refusing, cursor):
    diag = refusing.fails(
        "wfg_read_logs",
        p_workflow_id=refusing.held["job"]["run_id"],
        p_job_id="a",
        p_cursor=cursor,
        status=422,
        slug="invalid_request",
    )
    assert diag.message_detail.startswith("p_cursor:")


@pytest.mark.parametrize("limit", [0, -1, 10001, None])
def test_limit_is_from_1_to_10000(refusing, limit):
    diag = refusing.fails(
        "wfg_read_logs",
        p_workflow_id=refusing.held["job"]["run_id"],
        p_job_id="a",
        p_limit=limit,
        status=422,
        slug="invalid_request",
    )
    assert diag.message_detail.startswith("p_limit:")
