"""Bulk rows are as the engine's own."""

from datetime import timedelta

import pytest

from tests import bulk
from tests.engine import Engine

GRAPHS = {
    "alone": {"a": {"run": "true"}},
    "diamond": {
        "a": {"run": "true"},
        "b": {"run": "true", "needs": ["a"]},
        "c": {"run": "true", "needs": ["a"]},
        "d": {"run": "true", "needs": ["b", "c"]},
    },
    "wide": {
        "a": {"run": "true"},
        **{f"b{n}": {"run": "true", "needs": ["a"]} for n in range(20)},
        "c": {"run": "true", "needs": [f"b{n}" for n in range(20)]},
    },
}


@pytest.mark.parametrize("graph", GRAPHS)
def test_bulk_runs_are_as_the_engine_starts_them_and_run_to_their_end(engine: Engine, graph: str) -> None:
    engine.put(jobs=GRAPHS[graph])
    bulk.start(engine.connection, "wf", 3)
    engine.check()

    while claims := engine.claim_many(100):
        reports = [{"lease_id": c["lease"]["lease_id"], "outcome": "success"} for c in claims]
        engine.call("wfg_report_jobs", p_reports=reports, p_strict=True)

    assert {run["state"] for run in engine.call("wfg_list_runs")["items"]} == {"success"}


def test_bulk_runs_may_be_finished(engine: Engine) -> None:
    engine.put(jobs=GRAPHS["wide"])
    bulk.start(engine.connection, "wf", 2, finished=True)

    assert engine.claim() is None
    assert {run["state"] for run in engine.call("wfg_list_runs")["items"]} == {"success"}


def test_bulk_runs_may_be_delayed(engine: Engine) -> None:
    engine.put(jobs=GRAPHS["alone"])
    bulk.start(engine.connection, "wf", 2, delay=timedelta(hours=1))

    assert engine.claim() is None
    engine.advance(3601)
    assert engine.claim() is not None
