"""Finding: the filters and cursors of wfg_list_runs, wfg_list_jobs, wfg_list_queue."""

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import bulk
from tests.arrange import NO_RUN, START, after, cancel, chain, engine_on, ms, only, run_workflow
from tests.engine import Engine, as_text
from tests.test_plans import buffers_of

Items = list[dict[str, Any]]


def pages(engine: Engine, function: str, **params: Any) -> Iterator[Items]:
    """All pages of a list."""
    cursor = None
    while True:
        page = engine.call(function, **params, p_cursor=cursor)
        assert len(page["items"]) <= params.get("p_limit", 100)
        yield page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def all_of(engine: Engine, function: str, **params: Any) -> Items:
    return [item for page in pages(engine, function, **params) for item in page]


def runs(engine: Engine, **filters: Any) -> list[str]:
    return [run["run_id"] for run in all_of(engine, "wfg_list_runs", **filters)]


def jobs(engine: Engine, **filters: Any) -> list[str]:
    return [job["job_id"] for job in all_of(engine, "wfg_list_jobs", **filters)]


def lanes(engine: Engine) -> dict[str, dict[str, Any]]:
    """The queue by labels."""
    return {",".join(lane["required_labels"]): lane for lane in engine.call("wfg_list_queue")["items"]}


# --- runs ---

INPUTS = {name: {"type": kind} for name, kind in (("s", "string"), ("n", "number"), ("b", "boolean"))}


@pytest.fixture(scope="module")
def found(new_database: Callable[..., str], template: str) -> Iterator[Engine]:
    """Runs r0 to r5, a second apart, and one of another workflow, r6."""
    with engine_on(new_database(template)) as engine:
        engine.set_now(START)
        engine.put(inputs=INPUTS, jobs={**only("a"), "b": {"run": "x", "needs": "a", "labels": ["x", "y"]}})
        engine.put("gpu", inputs=INPUTS, jobs=only("a", labels=["gpu"]))
        sent: list[tuple[str, dict[str, Any]]] = [
            ("wf", {"inputs": {"s": "x", "n": 1}, "started_by": "ada"}),
            ("wf", {"inputs": {"s": "x", "n": 2}, "started_by": "bob"}),
            ("wf", {"inputs": {"s": "1"}, "idempotency_key": "k"}),
            ("wf", {"inputs": {"b": True}, "started_by": "ada"}),
            ("wf", {"inputs": {"s": "true", "n": 1.0}}),
            ("wf", {}),
            ("gpu", {"inputs": {"s": "x"}, "started_by": "ada", "idempotency_key": "k"}),
        ]
        engine.ids = []
        for n, (workflow_id, params) in enumerate(sent):
            engine.set_now(after(n))
            engine.ids.append(engine.start(workflow_id, **params))
        cancel(engine, engine.ids[1])
        yield engine


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [6, 5, 4, 3, 2, 1, 0]),
        ({"p_started_by": "ada"}, [6, 3, 0]),
        ({"p_started_by": "ada", "p_workflow_id": "wf"}, [3, 0]),
        ({"p_started_by": "ad"}, []),
        ({"p_inputs": {}}, [6, 5, 4, 3, 2, 1, 0]),
        ({"p_inputs": {"s": "x"}}, [6, 1, 0]),
        ({"p_inputs": {"s": "x", "n": 1}}, [0]),
        ({"p_inputs": {"s": "x", "n": "1"}}, [0]),
        ({"p_inputs": {"n": 1.0}}, [4, 0]),
        ({"p_inputs": {"s": 1}}, []),
        ({"p_inputs": {"s": "1"}}, [2]),
        ({"p_inputs": {"b": True}}, [3]),
        ({"p_inputs": {"b": "true"}}, [3]),
        ({"p_inputs": {"s": True}}, []),
        ({"p_inputs": {"s": None}}, []),
        ({"p_inputs": {"s": {}}}, []),
        ({"p_inputs": {"s": ["x"]}}, []),
        ({"p_inputs": {"S": "x"}}, []),
        ({"p_label": "gpu"}, [6]),
        ({"p_label": "y"}, [5, 4, 3, 2, 1, 0]),
        ({"p_label": "z"}, []),
        ({"p_label": "y", "p_state": "cancelled"}, [1]),
        ({"p_label": "y", "p_state": "queued", "p_started_by": "ada"}, [3, 0]),
        ({"p_state": "running"}, []),
        ({"p_idempotency_key": "k", "p_workflow_id": "wf"}, [2]),
        ({"p_idempotency_key": "k", "p_workflow_id": "wf", "p_state": "queued"}, [2]),
        ({"p_idempotency_key": "k", "p_workflow_id": "wf", "p_state": "success"}, []),
        ({"p_idempotency_key": "l", "p_workflow_id": "wf"}, []),
        ({"p_created_from_ms": ms(after(2)), "p_created_to_ms": ms(after(4))}, [3, 2]),
        ({"p_created_from_ms": ms(after(2)) + 1, "p_created_to_ms": ms(after(4)) + 1}, [4, 3]),
        ({"p_created_from_ms": ms(after(5))}, [6, 5]),
        ({"p_created_to_ms": ms(after(1))}, [0]),
        ({"p_created_to_ms": 0}, []),
        (
            {"p_created_from_ms": ms(after(1)), "p_created_to_ms": ms(after(9)), "p_state": "queued"},
            [6, 5, 4, 3, 2],
        ),
        ({"p_created_from_ms": ms(after(9)), "p_created_to_ms": ms(after(1))}, []),
        ({"p_created_from_ms": ms(after(5)), "p_workflow_id": "wf"}, [5]),
        ({"p_created_to_ms": ms(after(2)), "p_workflow_id": "wf", "p_idempotency_key": "k"}, []),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_runs_are_found_by_every_filter_on_pages_of_any_size(
    found: Engine, filters: dict[str, Any], expected: list[int], limit: int
) -> None:
    assert runs(found, **filters, p_limit=limit) == [found.ids[n] for n in expected]


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"p_created_from_ms": -1}, "p_created_from_ms"),
        ({"p_created_to_ms": 2**62}, "p_created_to_ms"),
        ({"p_inputs": []}, "p_inputs"),
        ({"p_inputs": "null"}, "p_inputs"),
        ({"p_idempotency_key": "k"}, "p_workflow_id"),
    ],
)
def test_a_bad_filter_is_named(found: Engine, params: dict[str, Any], named: str) -> None:
    diag = found.fails("wfg_list_runs", **params, status=422, slug="invalid_request")
    assert diag.message_detail.startswith(f"{named}:")


def test_a_cursor_is_opaque_and_of_its_filters(found: Engine) -> None:
    cursor = found.call("wfg_list_runs", p_limit=1)["next_cursor"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{36}", cursor)
    assert len(found.call("wfg_list_runs", p_limit=5, p_cursor=cursor)["items"]) == 5

    def refused(function: str, text: str, **filters: Any) -> str:
        diag = found.fails(function, p_cursor=text, **filters, status=422, slug="invalid_request")
        assert diag.message_detail.startswith("p_cursor: ")
        return diag.message_detail

    for filters in ({"p_state": "queued"}, {"p_inputs": {"s": "x"}}, {"p_created_from_ms": 1}):
        assert "other filters" in refused("wfg_list_runs", cursor, **filters)
    assert "other filters" in refused("wfg_list_jobs", cursor)
    raw = base64.urlsafe_b64decode(cursor)
    newer = base64.urlsafe_b64encode(b"\2" + raw[1:]).decode()
    for text in (
        newer,
        cursor[:-1],
        cursor + "A",
        cursor + "\n",
        found.ids[0],
        NO_RUN,
        "",
        "=" * 36,
        "x" * 36,
    ):
        refused("wfg_list_runs", text)


def test_pages_hold_still_while_runs_come_and_end(engine: Engine) -> None:
    """Nothing twice, and nothing left out that was there at the first page; at any state filter."""
    engine.put(jobs=only("a"))
    started = [engine.start() for _ in range(12)]
    seen: list[str] = []
    for page in pages(engine, "wfg_list_runs", p_limit=3, p_state="queued"):
        seen += [run["run_id"] for run in page]
        engine.start()
        cancel(engine, seen[-1])
        engine.call("wfg_prune", p_older_than_secs=0)
    assert seen == started[::-1]


@pytest.fixture(scope="module")
def rare(new_database: Callable[..., str], template: str) -> Iterator[Engine]:
    """10,100 runs that are queued, and one before them that some filter finds."""
    with engine_on(new_database(template)) as engine:
        engine.put("rare", inputs=INPUTS, jobs=only("a", labels=["gpu"]))
        engine.set_now(START)
        engine.run_id = engine.start("rare", inputs={"s": "x"}, started_by="ada")
        cancel(engine, engine.run_id)
        engine.set_now(after(60))
        engine.put(jobs=only("a"))
        bulk.start(engine.connection, "wf", 10_100)
        yield engine


RARE = [
    {"p_label": "gpu"},
    {"p_inputs": {"s": "x"}},
    {"p_started_by": "ada"},
    {"p_state": "cancelled"},
]


@pytest.mark.parametrize("filters", RARE)
def test_a_page_reads_10000_runs_and_each_once(rare: Engine, filters: dict[str, Any]) -> None:
    """It has nothing, and says that there is more."""
    page = rare.call("wfg_list_runs", **filters, p_limit=1)
    assert page["items"] == []
    assert page["next_cursor"] is not None
    assert runs(rare, **filters, p_limit=1) == [rare.run_id]

    query = f"select public.wfg_list_runs({next(iter(filters))} => %s)"
    # Fifty rows in a page, the way down the index now and then; not a probe for each run.
    assert buffers_of(rare, query, [*map(as_text, filters.values())]) < 1500


@pytest.mark.parametrize("filters", [*RARE, {"p_workflow_id": "rare", "p_state": "failure"}])
def test_statistics_do_not_make_a_page_dearer(rare: Engine, filters: dict[str, Any]) -> None:
    """They say that nearly every run is of one workflow."""
    query = f"select public.wfg_list_runs({', '.join(f'{name} => %s' for name in filters)})"
    with rare.connection.transaction(force_rollback=True):
        rare.query("analyze")
        assert buffers_of(rare, query, [*map(as_text, filters.values())]) < 1500


def test_counting_stops_and_says_so(rare: Engine) -> None:
    lane = lanes(rare)[""]
    assert (lane["ready"], lane["at_least"]) == (10_000, True)
    assert buffers_of(rare, "select public.wfg_list_queue()", []) < 12_000


def test_a_page_of_jobs_reads_10000_entries(rare: Engine) -> None:
    page = rare.call("wfg_list_jobs", p_label="gpu")
    assert page["items"] == []
    assert page["next_cursor"] is not None
    assert jobs(rare, p_label="gpu") == []
    assert buffers_of(rare, "select public.wfg_list_jobs(p_state => 'running')", []) < 100


@pytest.mark.nightly
@pytest.mark.parametrize(
    "filters", [*RARE, {"p_workflow_id": "wf", "p_state": "failure"}, {"p_state": "running"}]
)
def test_a_page_costs_as_much_among_many_runs_as_among_few(
    engine: Engine, connect: Callable[[], Engine], filters: dict[str, Any]
) -> None:
    """In a session that made its plans when there were no runs, on tables never analyzed."""
    reader = connect()
    values = [*map(as_text, filters.values())]
    query = f"select public.wfg_list_runs({', '.join(f'{name} => %s' for name in filters)})"
    for _ in range(6):
        reader.query(query, *values)
    engine.put(jobs=only("a"))
    bulk.start(engine.connection, "wf", 12_000, finished="running" not in values)
    few = buffers_of(reader, query, values)
    bulk.start(engine.connection, "wf", 188_000, finished="running" not in values)
    assert buffers_of(reader, query, values) < 1.5 * few + 500
    assert few < 100_000


# --- jobs ---


def test_a_job_says_why_it_waits_for_how_long_and_who_has_it(engine: Engine) -> None:
    engine.set_now(START)
    engine.put(
        "ci",
        jobs={
            "test": {"run": "x", "retries": 1, "backoff": {"fixed": 60}},
            "build": {"run": "x", "needs": "test", "labels": ["linux", "gpu"], "priority": 3},
        },
    )
    run_id = engine.start("ci")
    keys = ("job_id", "state", "waits", "attempt", "attempts", "worker_id", "wait_ms", "run_ms", "no_worker")

    def listed() -> list[tuple[Any, ...]]:
        items = engine.call("wfg_list_jobs", p_run_id=run_id)["items"]
        return [tuple(item[key] for key in keys) for item in items]

    build = ("build", "queued", "needs", 0, 0, None, None, None, True)
    engine.set_now(after(2))
    assert listed() == [("test", "queued", "ready", 0, 0, None, 2000, None, True), build]
    claim = engine.claim("w1")
    engine.set_now(after(5))
    assert listed() == [("test", "running", None, 0, 1, "w1", 2000, 3000, False), build]
    engine.fail(claim, retryable=True)
    assert listed() == [("test", "queued", "delayed", 1, 1, None, None, None, False), build]
    engine.set_now(after(70))
    engine.complete(engine.claim("w1"))
    engine.set_now(after(71))
    assert listed() == [
        ("test", "success", None, 1, 2, "w1", None, 0, False),
        ("build", "queued", "ready", 0, 0, None, 1000, None, True),
    ]
    (item,) = engine.call("wfg_list_jobs", p_state="ready")["items"]
    assert (item["run_id"], item["workflow_id"], item["priority"]) == (run_id, "ci", 3)
    assert item["required_labels"] == ["linux", "gpu"]
    assert item["ready_at_ms"] == ms(after(70))


def test_jobs_are_found_by_state_workflow_worker_and_label(engine: Engine) -> None:
    engine.set_now(START)
    engine.put("one", jobs={"a": {"run": "x"}, "b": {"run": "x", "labels": ["gpu"]}})
    engine.put("two", jobs={"c": {"run": "x"}, "d": {"run": "x", "needs": "c"}})
    engine.put("door", jobs={"e": {"run": "x"}})
    first = engine.start("one")
    engine.claim("w1")
    run_workflow(engine, "door")
    engine.claim("w2")
    cancel(engine, "door")  # its lease lives on
    engine.set_now(after(1))
    engine.start("two")
    engine.set_now(after(2))
    run_workflow(engine, "door")  # held, for that lease
    engine.set_now(after(3))
    later = engine.start("one", start_at=after(3600))

    for limit in (1, 2, 100):
        assert jobs(engine, p_limit=limit) == ["b", "a", "e", "c", "b", "a"]
        assert jobs(engine, p_limit=limit, p_state="queued") == ["b", "a", "e", "c", "b"]
        assert jobs(engine, p_limit=limit, p_state="running") == ["a"]
        assert jobs(engine, p_limit=limit, p_state="ready") == ["c", "b"]
        assert jobs(engine, p_limit=limit, p_state="delayed") == ["b", "a"]
        assert jobs(engine, p_limit=limit, p_state="held") == ["e"]
        assert jobs(engine, p_limit=limit, p_workflow_id="one") == ["b", "a", "b", "a"]
        assert jobs(engine, p_limit=limit, p_workflow_id="one", p_state="running") == ["a"]
        assert jobs(engine, p_limit=limit, p_label="gpu") == ["b", "b"]
        assert jobs(engine, p_limit=limit, p_worker_id="w1") == ["a"]
        assert jobs(engine, p_limit=limit, p_worker_id="w1", p_label="gpu") == []
        assert jobs(engine, p_limit=limit, p_run_id=later) == ["a", "b"]
        assert jobs(engine, p_limit=limit, p_run_id=first, p_label="gpu") == ["b"]
        assert jobs(engine, p_limit=limit, p_run_id=first, p_worker_id="w1") == ["a"]
        assert jobs(engine, p_limit=limit, p_run_id=first, p_state="success") == []
    for state, params in (("queued", {"p_worker_id": "w1"}), ("running", {"p_worker_id": "w2"})):
        assert jobs(engine, p_state=state, **params) == []
    assert jobs(engine, p_run_id="door") == ["e"]
    engine.set_now(after(90))
    engine.call("wfg_reap")
    assert jobs(engine, p_run_id=first, p_state="failure", p_worker_id="w1") == ["a"]
    assert jobs(engine, p_worker_id="w1") == []


def test_jobs_of_a_run_come_after_what_they_need_and_on_pages(engine: Engine) -> None:
    engine.put(jobs=dict(reversed(chain(7).items())))
    run_id = engine.start()
    names = list(chain(7))
    for limit in (1, 3, 7, 100):
        assert jobs(engine, p_run_id=run_id, p_limit=limit) == names
    assert jobs(engine, p_run_id=run_id, p_state="needs", p_limit=2) == names[1:]


@pytest.mark.parametrize(
    ("params", "status", "slug"),
    [
        ({"p_state": "success"}, 422, "invalid_request"),
        ({"p_state": "needs"}, 422, "invalid_request"),
        ({"p_state": "active"}, 422, "invalid_request"),
        ({"p_limit": 0}, 422, "invalid_request"),
        ({"p_run_id": NO_RUN}, 404, "run_not_found"),
        ({"p_run_id": "nobody"}, 404, "workflow_not_found"),
    ],
)
def test_a_list_of_jobs_that_cannot_be_is_refused(
    found: Engine, params: dict[str, Any], status: int, slug: str
) -> None:
    found.fails("wfg_list_jobs", **params, status=status, slug=slug)


# --- the queue ---


def test_the_queue_says_what_waits_for_which_labels_and_who_could_take_it(engine: Engine) -> None:
    engine.set_now(START)
    engine.put(jobs={"a": {"run": "x"}, "g": {"run": "x", "labels": ["linux", "gpu"]}})
    assert engine.call("wfg_list_queue")["items"] == []
    for n in range(3):
        engine.set_now(after(n))
        engine.start()
    engine.start(start_at=after(3600))
    for worker, labels in (("w1", []), ("w2", ["gpu"]), ("w3", ["linux"])):
        engine.call("wfg_register_worker", p_worker_id=worker, p_labels=labels)
    engine.claim("w1")
    engine.set_now(after(10))

    gpu, plain = engine.call("wfg_list_queue")["items"]
    assert gpu == {
        "required_labels": ["gpu", "linux"],
        "priority": 0,
        "ready": 3,
        "delayed": 1,
        "held": 0,
        "running": 0,
        "at_least": False,
        "oldest_wait_ms": 10_000,
        "workers": 0,
        "idle": 0,
        "paused": False,
        "no_worker": True,
    }
    assert {key: plain[key] for key in ("required_labels", "ready", "delayed", "running")} == {
        "required_labels": [],
        "ready": 2,
        "delayed": 1,
        "running": 1,
    }
    assert (plain["oldest_wait_ms"], plain["workers"], plain["idle"]) == (9000, 3, 2)
    assert plain["no_worker"] is False

    engine.claim("w4", ["linux", "gpu", "more"])
    gpu = lanes(engine)["gpu,linux"]
    assert (gpu["workers"], gpu["idle"], gpu["no_worker"], gpu["running"]) == (1, 0, False, 1)


def test_a_worker_that_is_not_heard_of_can_take_nothing_unless_it_holds_a_lease(engine: Engine) -> None:
    engine.set_now(START)
    engine.put(jobs=only("a"))
    engine.start()
    engine.start()
    engine.call("wfg_register_worker", p_worker_id="w1", p_labels=[])
    engine.claim("w2", ttl=100)
    for seconds, workers in ((60, 2), (61, 1), (99, 1), (100, 0)):
        engine.set_now(after(seconds))
        assert lanes(engine)[""]["workers"] == workers, seconds
        (ready,) = engine.call("wfg_list_jobs", p_state="ready")["items"]
        assert ready["no_worker"] is (workers == 0)
        states = {worker["worker_id"]: worker["status"] for worker in engine.call("wfg_list_workers")}
        assert sum(state != "offline" for state in states.values()) == workers


def test_held_jobs_and_cancelled_leases_are_told_apart(engine: Engine) -> None:
    engine.set_now(START)
    engine.put(jobs=only("a"))
    run_workflow(engine)
    engine.claim("w1")
    cancel(engine, "wf")
    assert engine.call("wfg_list_queue")["items"] == []
    run_workflow(engine)
    lane = lanes(engine)[""]
    assert (lane["ready"], lane["delayed"], lane["held"], lane["running"]) == (0, 0, 1, 0)


def test_trouble_comes_first(engine: Engine) -> None:
    engine.set_now(START)
    engine.put(
        jobs={name: {"run": "x", "labels": [name]} for name in ("later", "old", "new", "nobody", "busy")}
    )
    for worker in ("later", "old", "new", "busy"):
        engine.call("wfg_register_worker", p_worker_id=worker, p_labels=[worker])
    later = engine.start(start_at=after(9000))
    for job in ("old", "new", "nobody", "busy"):
        engine.call("wfg_cancel_job", p_run_id=later, p_job_id=job)
    for seconds, kept in ((1, "busy"), (1, "old"), (2, "new"), (3, "nobody")):
        engine.set_now(after(seconds))
        run_id = engine.start()
        for job in ("later", "old", "new", "nobody", "busy"):
            if job != kept:
                engine.call("wfg_cancel_job", p_run_id=run_id, p_job_id=job)
    engine.claim("busy", ["busy"])
    assert list(lanes(engine)) == ["nobody", "old", "new", "later", "busy"]


@pytest.mark.usefixtures("database")  # of its own: it reads what Postgres counts
def test_totals_grow(engine: Engine) -> None:
    engine.put(jobs=only("a"))
    before = engine.call("wfg_list_queue")["totals"]
    engine.start()
    engine.complete(engine.claim())
    engine.query("select pg_stat_force_next_flush()")
    engine.query("select 1")
    after_it = engine.call("wfg_list_queue")["totals"]
    assert {name: after_it[name] - before[name] for name in before} == dict.fromkeys(before, 1)


def test_what_nobody_claims_is_seen_below_the_mark(engine: Engine) -> None:
    """The mark of a lane is a hint of those who claim: without them it is not believed for long."""
    engine.set_now(START)
    engine.put(jobs=only("a", retries=1))
    engine.start()
    for seconds in (0, 2, 4):
        engine.set_now(after(seconds))
        engine.claim()
    engine.set_now(after(-5))
    engine.start()  # as if committed late
    engine.set_now(after(20))
    assert lanes(engine)[""]["ready"] == 1
