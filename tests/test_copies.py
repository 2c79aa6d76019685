"""A copy of a database, restored or cloned from a template, hands out no job until it is thawed."""

from pathlib import Path

import pytest

from tests.arrange import drain, engine_on, only
from tests.engine import Engine
from tests.postgres import program, run
from tests.sessions import race


@pytest.fixture
def source(databases, template) -> str:
    """A database where somebody works: a job that runs, some that wait."""
    dsn = databases.make(template)
    with engine_on(dsn) as engine:
        engine.put(jobs={**only("a"), **only("b", needs=["a"])})
        for _ in range(3):
            engine.start()
        assert engine.claim(ttl=1) is not None
    return dsn


@pytest.fixture(params=["restored", "cloned"])
def copy(request, source, databases, tmp_path) -> str:
    if request.param == "cloned":
        return databases.make(source)
    return restored(source, databases.make(), tmp_path)


def restored(source: str, target: str, tmp_path: Path) -> str:
    archive = str(tmp_path / "dump")
    run([program("pg_dump", source), "--format=custom", f"--file={archive}", source])
    run([program("pg_restore", source), "--clean", "--if-exists", f"--dbname={target}", archive])
    return target


def frozen(engine: Engine) -> list[tuple[str, str]]:
    return [(p["kind"], p["reason"]) for p in engine.call("wfg_list_pauses")["items"]]


def test_a_copy_hands_out_nothing_until_it_is_thawed(copy: str, source: str):
    with engine_on(copy) as engine:
        assert engine.claim() is None
        assert frozen(engine) == [("all", "restored copy")]
        engine.start()
        assert engine.claim_many(10) == []
        with engine_on(copy) as another:
            assert another.claim(labels=["x"]) is None

        assert engine.call("wfg_thaw") == {"thawed": True}
        assert engine.claim() is not None
    with engine_on(copy) as later:
        assert later.claim() is not None
        assert frozen(later) == []
    with engine_on(source) as original:
        assert original.claim() is not None


def test_a_copy_may_be_thawed_before_anybody_asks_for_a_job(copy: str):
    with engine_on(copy) as engine:
        assert engine.call("wfg_thaw") == {"thawed": False}
        assert engine.claim() is not None


def test_first_claims_at_the_same_time_get_nothing(copy: str):
    """Each from a session that has never asked; one of them freezes, whoever it is."""
    engines = [Engine(copy) for _ in range(8)]
    answers = race([0], *(lambda _, engine=engine: engine.claim() for engine in engines))
    assert answers == [(None,) * 8]
    assert frozen(engines[0]) == [("all", "restored copy")]
    for engine in engines:
        engine.close()


def test_a_first_claim_that_is_undone_leaves_it_to_the_next(copy: str):
    with engine_on(copy) as engine:
        engine.query("begin")
        assert engine.claim() is None
        engine.query("rollback")
        assert frozen(engine) == []
        assert engine.claim() is None
        assert frozen(engine) == [("all", "restored copy")]


def test_workers_that_stay_connected_while_their_database_is_restored_anew_get_nothing(
    source, databases, template, tmp_path
):
    """As a staging database that is filled from production each night."""
    staging = databases.make(template)
    with engine_on(staging) as worker:
        worker.put("mine", jobs=only("a"))
        worker.start("mine")
        assert worker.claim() is not None
        restored(source, staging, tmp_path)
        assert worker.claim() is None
        assert frozen(worker) == [("all", "restored copy")]


def test_a_dump_taken_before_the_first_claim_knows_where_it_is_from(databases, template, tmp_path):
    source = databases.make(template)
    with engine_on(source) as engine:
        engine.put(jobs=only("a"))
        engine.start()
    with engine_on(restored(source, databases.make(), tmp_path)) as engine:
        assert engine.claim() is None
        assert frozen(engine) == [("all", "restored copy")]


def test_a_copy_of_a_paused_database_stays_paused_when_it_is_thawed(source, databases):
    with engine_on(source) as engine:
        engine.call("wfg_pause_workflow", p_workflow_id="wf")
    with engine_on(databases.make(source)) as engine:
        assert engine.claim() is None
        engine.call("wfg_thaw")
        assert engine.claim() is None
        engine.call("wfg_resume_workflow", p_workflow_id="wf")
        assert len(drain(engine)) >= 4


def test_an_empty_database_is_nobodys(template, databases):
    with engine_on(databases.make(databases.make(template))) as engine:
        engine.put(jobs=only("a"))
        engine.start()
        assert engine.claim() is not None
