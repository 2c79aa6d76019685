"""wfg_put_workflow: versions, topological numbers, lanes and label sets."""

import json
import threading
import time
from collections.abc import Callable

import pytest

from tests.arrange import chain, only
from tests.engine import Engine, Raw

UUID_V7 = "01943a5c-0000-7000-8000-000000000000"


def put(engine, definition, workflow_id="wf", **params):
    return engine.call("wfg_put_workflow", p_workflow_id=workflow_id, p_definition=definition, **params)


def specs(engine):
    """The jobs of the newest version by key."""
    rows = engine.query(
        "select * from wfg.job_specs where version_id = (select max(id) from wfg.workflow_versions)"
    )
    return {row["key"]: row for row in rows}


# --- versions ---


def test_first_put_is_version_1(engine):
    assert engine.call_text("wfg_put_workflow", p_workflow_id="wf", p_definition={"jobs": {}}) is not None
    assert put(engine, {"jobs": {}}, "other") == {
        "id": "other",
        "version": 1,
        "changed": True,
        "warnings": [],
    }


def test_the_same_again_makes_no_new_version(engine):
    put(engine, {"name": "x", "on": "push", "jobs": only("a", env={"A": "1", "B": "2"})})
    same = {"jobs": only("a", env={"B": "2", "A": 1}, needs=[]), "on": "push", "name": "x"}
    assert put(engine, same) == {"id": "wf", "version": 1, "changed": False, "warnings": []}
    assert len(engine.query("select true as found from wfg.workflow_versions")) == 1


def test_another_definition_is_the_next_version(engine):
    put(engine, {"jobs": only("a")})
    assert put(engine, {"jobs": only("a", "b")})["version"] == 2
    assert put(engine, {"jobs": only("a")}) == {"id": "wf", "version": 3, "changed": True, "warnings": []}
    assert engine.call("wfg_get_workflow", p_workflow_id="wf")["version"] == 3


def test_order_of_jobs_is_part_of_the_definition(engine):
    put(engine, {"jobs": only("a", "b")})
    assert put(engine, {"jobs": only("b", "a")})["changed"]


def test_a_run_keeps_its_version(engine):
    put(engine, {"jobs": only("a")})
    run = engine.start()
    put(engine, {"jobs": only("b")})
    assert engine.jobs(run) == {"a": "queued"}


def test_deleted_workflow_comes_back_with_the_next_version(engine):
    put(engine, {"jobs": only("a")})
    engine.call("wfg_delete_workflow", p_workflow_id="wf")
    assert put(engine, {"jobs": only("a")}) == {"id": "wf", "version": 2, "changed": True, "warnings": []}
    assert engine.call("wfg_get_workflow", p_workflow_id="wf")["version"] == 2


def test_problems_leave_everything_as_it_was(engine):
    put(engine, {"jobs": only("a")})
    diag = engine.fails(
        "wfg_put_workflow",
        status=422,
        slug="invalid_workflow",
        p_workflow_id="wf",
        p_definition={"jobs": {"a": {"runs": "x"}}},
    )
    assert [problem["path"] for problem in json.loads(diag.message_detail)] == ["jobs.a", "jobs.a.runs"]
    assert engine.call("wfg_get_workflow", p_workflow_id="wf")["version"] == 1


def test_lenient_answers_warnings(engine):
    answer = put(engine, {"jobs": only("a", color="red")}, p_lenient=True)
    assert [warning["path"] for warning in answer["warnings"]] == ["jobs.a.color"]
    assert answer["changed"]


@pytest.mark.parametrize("lenient", [None, False])
def test_strict_is_the_default(engine, lenient):
    engine.fails(
        "wfg_put_workflow",
        status=422,
        slug="invalid_workflow",
        p_workflow_id="wf",
        p_definition={"jobs": only("a", color="red")},
        p_lenient=lenient,
    )


# --- ids ---


def test_without_an_id_the_name_is_the_id(engine):
    assert put(engine, {"name": "CI", "jobs": {}}, None)["id"] == "CI"


def test_with_an_id_the_name_is_only_a_name(engine):
    assert put(engine, {"name": "CI", "jobs": {}}, "ci")["id"] == "ci"
    assert engine.call("wfg_get_workflow", p_workflow_id="ci")["name"] == "CI"


def test_without_a_name_the_id_is_the_name(engine):
    put(engine, {"jobs": {}}, "ci")
    assert engine.call("wfg_get_workflow", p_workflow_id="ci")["name"] == "ci"


@pytest.mark.parametrize(
    "workflow_id", ["ci", "ci/prod", "Übersicht 🚀", ".", "x" * 200, "6f1c1d6e-3b0e-4f0a-9d2c-0f1e2d3c4b5a"]
)
def test_ids_that_are_taken(engine, workflow_id):
    assert put(engine, {"jobs": {}}, workflow_id)["id"] == workflow_id
    assert engine.call("wfg_get_workflow", p_workflow_id=workflow_id)["id"] == workflow_id


@pytest.mark.parametrize(
    ("workflow_id", "definition", "detail"),
    [
        (None, {"jobs": {}}, "p_workflow_id: is missing, and the file has no name"),
        ("", {"jobs": {}}, "p_workflow_id: must be 1 to 200 characters"),
        ("x" * 201, {"jobs": {}}, "p_workflow_id: must be 1 to 200 characters"),
        (UUID_V7, {"jobs": {}}, "p_workflow_id: must not have the form of a UUID version 7"),
        (UUID_V7.upper(), {"jobs": {}}, "p_workflow_id: must not have the form of a UUID version 7"),
        (None, {"name": UUID_V7, "jobs": {}}, "p_workflow_id: must not have the form of a UUID version 7"),
        ("wf", None, "p_definition: is missing"),
    ],
)
def test_arguments_that_are_refused(engine, workflow_id, definition, detail):
    diag = engine.fails(
        "wfg_put_workflow",
        status=422,
        slug="invalid_request",
        p_workflow_id=workflow_id,
        p_definition=definition,
    )
    assert diag.message_detail == detail
    assert diag.message_hint


# --- what is stored ---


def test_children_are_numbered_after_their_parents(engine):
    put(
        engine,
        {
            "jobs": {
                "c": {"run": "x", "needs": ["b", "a"]},
                "b": {"run": "x", "needs": "a"},
                "a": {"run": "x"},
            }
        },
    )
    made = specs(engine)
    assert {key: made[key]["job_no"] for key in made} == {"a": 1, "b": 2, "c": 3}
    assert {key: made[key]["display_no"] for key in made} == {"c": 1, "b": 2, "a": 3}
    assert {key: made[key]["parents"] for key in made} == {"a": [], "b": [1], "c": [2, 1]}
    assert {key: made[key]["narrow_children"] for key in made} == {"a": [2, 3], "b": [3], "c": []}


def test_numbers_follow_the_file_where_they_can(engine):
    jobs = {"z": [], "y": ["z"], "m": [], "b": ["m", "z"], "a": []}
    put(engine, {"jobs": {key: {"run": "x", "needs": needs} for key, needs in jobs.items()}})
    assert {key: row["job_no"] for key, row in specs(engine).items()} == {
        "z": 1,
        "y": 2,
        "m": 3,
        "b": 4,
        "a": 5,
    }


def test_more_than_16_parents_are_wide(engine):
    parents = {f"p{n}": {"run": "x"} for n in range(17)}
    put(
        engine,
        {
            "jobs": {
                **parents,
                "wide": {"run": "x", "needs": list(parents)},
                "narrow": {"run": "x", "needs": list(parents)[:16]},
            }
        },
    )
    made = specs(engine)
    assert (made["wide"]["is_wide"], made["narrow"]["is_wide"], made["p0"]["is_wide"]) == (True, False, False)
    assert made["p0"]["wide_children"] == [made["wide"]["job_no"]]
    assert made["p0"]["narrow_children"] == [made["narrow"]["job_no"]]
    assert made["p16"]["narrow_children"] == []
    assert all(row["in_wide_run"] for row in made.values())


@pytest.mark.parametrize(("count", "wide"), [(16, False), (17, True)])
def test_runs_of_more_than_16_jobs_are_wide(engine, count, wide):
    put(engine, {"jobs": {f"j{n}": {"run": "x"} for n in range(count)}})
    assert {row["in_wide_run"] for row in specs(engine).values()} == {wide}


def test_metadata_keeps_the_order_of_its_keys(engine):
    put(engine, Raw('{"jobs":{"a":{"run":"x","metadata":{"zz":1,"a":{"y":1.10,"x":2}}}}}'))
    [row] = engine.query("select metadata::text as metadata from wfg.job_specs")
    assert row["metadata"] == '{"zz":1,"a":{"y":1.10,"x":2}}'


def test_columns_of_a_job(engine):
    job = {
        "name": "A",
        "run": "make",
        "labels": ["linux", "gpu", "linux"],
        "retries": 3,
        "lost_retries": 2,
        "backoff": {"exponential": {"base": 2, "max": 60, "jitter": 0.25}},
        "timeout": 60,
        "priority": 7,
        "group": "g",
    }
    put(engine, {"jobs": {"a": job, "b": {"run": "x", "backoff": {"fixed": 5}}}})
    made = specs(engine)
    columns = "name retries lost_retries backoff backoff_base backoff_max timeout_secs job_group labels"
    assert [made["a"][column] for column in columns.split()] == [
        "A",
        3,
        2,
        "exponential",
        2,
        60,
        60,
        "g",
        ["linux", "gpu", "linux"],
    ]
    assert float(made["a"]["backoff_jitter"]) == 0.25
    assert [made["b"][column] for column in columns.split()][3:6] == ["fixed", 5, None]
    [lane] = engine.query("select labels, priority from wfg.lanes where id = %s", made["a"]["lane_id"])
    assert lane == {"labels": ["gpu", "linux"], "priority": 7}


# --- lanes and label sets ---


def label_set(engine, *labels):
    [row] = engine.query(
        "select s.lane_ids, s.priorities from wfg.label_set(%s::text[], wfg.now()) s", list(labels)
    )
    return row


def lanes_of(engine, *labels):
    """The lanes a worker with these labels may take, as (labels, priority)."""
    rows = engine.query(
        """
        select l.labels, l.priority
          from wfg.label_set(%s::text[], wfg.now()) s
         cross join lateral unnest(s.lane_ids, s.priorities) with ordinality k (id, priority, no)
          join wfg.lanes l on l.id = k.id and l.priority = k.priority
         order by k.no
        """,
        list(labels),
    )
    return [(row["labels"], row["priority"]) for row in rows]


def test_label_set_has_the_lanes_whose_labels_it_contains(engine):
    put(
        engine,
        {
            "jobs": {
                "a": {"run": "x"},
                "b": {"run": "x", "labels": ["b"]},
                "c": {"run": "x", "labels": ["c", "b"]},
            }
        },
    )
    assert lanes_of(engine) == [([], 0)]
    assert lanes_of(engine, "b") == [([], 0), (["b"], 0)]
    assert lanes_of(engine, "c") == [([], 0)]
    assert lanes_of(engine, "x", "c", "b", "b") == [([], 0), (["b"], 0), (["b", "c"], 0)]


def test_new_lanes_join_the_label_sets_there_are(engine):
    assert lanes_of(engine, "a", "b") == []
    put(engine, {"jobs": only("x", labels=["a"], priority=1)})
    put(engine, {"jobs": only("x", labels=["b"], priority=5)}, "two")
    put(engine, {"jobs": only("x", labels=["c"], priority=9)}, "three")
    put(engine, {"jobs": only("x", labels=["b", "a"], priority=1)}, "four")
    assert lanes_of(engine, "b", "a") == [(["b"], 5), (["a"], 1), (["a", "b"], 1)]
    assert lanes_of(engine, "c") == [(["c"], 9)]


def test_labels_sort_by_code_point(engine):
    put(engine, {"jobs": only("x", labels=["b", "a", "B", "A", "ä"])})
    assert engine.query("select labels from wfg.lanes") == [{"labels": ["A", "B", "a", "b", "ä"]}]
    assert lanes_of(engine, "ä", "b", "a", "B", "A") == [(["A", "B", "a", "b", "ä"], 0)]


def test_known_lanes_and_label_sets_take_no_lock(engine):
    put(engine, {"jobs": only("a", labels=["l"])})
    label_set(engine, "l")
    with engine.connection.transaction():
        put(engine, {"jobs": only("b", labels=["l"])})
        label_set(engine, "l")
        assert (
            engine.query("select objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()")
            == []
        )


def test_use_of_a_label_set_is_noted_by_the_hour(engine):
    label_set(engine, "l")
    first = engine.query("select used_at, xmin::text from wfg.label_sets")
    engine.set_now(engine.now())
    label_set(engine, "l")
    assert engine.query("select used_at, xmin::text from wfg.label_sets") == first
    engine.advance(2 * 3600)
    label_set(engine, "l")
    [row] = engine.query("select used_at = date_trunc('hour', wfg.now()) as fresh from wfg.label_sets")
    assert row["fresh"]


# --- at once ---


def together(*calls: Callable[[], object]) -> list[object]:
    """Make the calls at the same moment, each in a thread of its own; their answers or errors."""
    barrier = threading.Barrier(len(calls))
    answers: list[object] = [None] * len(calls)

    def make(number: int, call: Callable[[], object]) -> None:
        barrier.wait()
        try:
            answers[number] = call()
        except Exception as error:
            answers[number] = error

    threads = [threading.Thread(target=make, args=(number, call)) for number, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.parametrize("same", [True, False])
def test_puts_of_one_workflow_at_once(connect, engine, same):
    engines: list[Engine] = [connect() for _ in range(4)]
    for round_ in range(10):
        answers = together(
            *(
                lambda e=e, n=n, wf=f"wf{round_}": put(e, {"jobs": only("same" if same else f"j{n}")}, wf)
                for n, e in enumerate(engines)
            )
        )
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        versions = sorted(answer["version"] for answer in answers)
        assert versions == ([1, 1, 1, 1] if same else [1, 2, 3, 4])
        assert sum(answer["changed"] for answer in answers) == (1 if same else 4)


def test_a_lane_and_a_label_set_made_at_once_never_miss_each_other(connect, engine):
    putter, claimer, other = connect(), connect(), connect()
    for n in range(60):
        answers = together(
            lambda n=n: put(putter, {"jobs": only("a", labels=[f"l{n}"])}, f"wf{n}"),
            lambda n=n: label_set(claimer, f"l{n}", "x"),
            lambda n=n: (
                label_set(other, f"l{n}", "x")
                if n % 2
                else put(other, {"jobs": only("b", labels=["x"], priority=n - 30)}, f"xx{n}")
            ),
        )
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
    missed = engine.query(
        """
        select s.labels, l.labels as lane
          from wfg.label_sets s
          join wfg.lanes l on l.labels <@ s.labels
         where l.id <> all (s.lane_ids)
        """
    )
    assert missed == []
    assert engine.query("select count(*) from wfg.label_sets") == [{"count": 60}]


def test_the_race_is_real_without_the_lock(connect, engine):
    """A label set that is inserted while a lane is not yet committed waits for it."""
    other = connect()
    with engine.connection.transaction():
        put(engine, {"jobs": only("a", labels=["l"])})
        waiting = threading.Thread(target=lambda: label_set(other, "l"))
        waiting.start()
        watcher = connect()
        while not watcher.query(
            "select pid from pg_stat_activity where pid = %s and wait_event_type = 'Lock'", other.pid
        ):
            assert waiting.is_alive()
            time.sleep(0.001)
    waiting.join()
    assert lanes_of(engine, "l") == [(["l"], 0)]


def test_under_repeatable_read_a_missed_lane_is_an_error(connect, engine):
    put(engine, {"jobs": only("a")})
    late = connect()
    late.connection.execute("begin isolation level repeatable read")
    late.query("select true as found from wfg.lanes")
    put(engine, {"jobs": only("b", labels=["l"])})
    with pytest.raises(Exception, match="could not serialize"):
        label_set(late, "l")
    late.connection.rollback()


# --- large ---


def test_10_000_jobs(engine):
    jobs = {
        f"j{n}": {
            "run": f"make {n}",
            "needs": [f"j{n - k}" for k in (1, 7, 50) if n >= k],
            "labels": ["linux"],
        }
        for n in range(10_000)
    }
    started = time.monotonic()
    put(engine, {"jobs": jobs})
    assert time.monotonic() - started < 20  # about 2 s alone on 2 cores
    [row] = engine.query(
        "select count(*), min(job_no), max(job_no), count(distinct job_no) as numbers from wfg.job_specs"
    )
    assert row == {"count": 10_000, "min": 1, "max": 10_000, "numbers": 10_000}


def test_10_001_jobs_are_too_many(engine):
    diag = engine.fails(
        "wfg_put_workflow",
        status=422,
        slug="invalid_workflow",
        p_workflow_id="wf",
        p_definition={"jobs": {f"j{n}": {"run": "x"} for n in range(10_001)}},
    )
    assert json.loads(diag.message_detail)[0]["message"] == (
        "must have at most 10000 jobs, found 10001: limit jobs_per_workflow"
    )


def test_a_chain_against_the_order_of_the_file(engine):
    backwards = dict(reversed(chain(5000).items()))
    put(engine, {"jobs": backwards})
    made = specs(engine)
    assert all(made[f"j{n}"]["job_no"] == n for n in range(1, 5001))


def test_a_cycle_of_5000(engine):
    jobs = chain(5000)
    jobs["j1"]["needs"] = "j5000"
    diag = engine.fails(
        "wfg_put_workflow",
        status=422,
        slug="invalid_workflow",
        p_workflow_id="wf",
        p_definition={"jobs": jobs},
    )
    [problem] = json.loads(diag.message_detail)
    assert problem["message"] == (
        "the needs form a cycle: j1 -> j5000 -> j4999 -> j4998 -> j4997 -> j4996 -> … 4990 more … "
        "-> j5 -> j4 -> j3 -> j2 -> j1"
    )
