"""A server that only reads: what readers may call answers there as on the primary."""

import pytest

from tests.arrange import engine_on, only
from tests.own_postgres import own_postgres

READERS = (
    "select p.proname as name from pg_proc p where p.pronamespace = 'public'::regnamespace"
    " and has_function_privilege('wfg_reader', p.oid, 'execute') and p.proname ^@ 'wfg_'"
)


@pytest.mark.nightly
def test_what_readers_may_call_answers_on_a_standby(server: str):
    with own_postgres(server) as postgres:
        dsn = postgres.new_database()
        with engine_on(dsn) as engine:
            engine.put(jobs=only("a", "b"))
            run_id = engine.call("wfg_run_workflow", p_workflow_id="wf")["run_id"]
            claim = engine.claim()
            engine.claim(labels=["a set of its own"])
            engine.complete(claim)
        postgres.stop()
        (postgres.home / "data" / "standby.signal").touch()
        postgres.start()
        of_job = {"p_run_id": run_id, "p_job_id": "a"}
        of_log = {"p_workflow_id": run_id, "p_job_id": "a"}
        arguments = {
            "wfg_validate_workflow": {"p_definition": {"jobs": only("a")}},
            "wfg_get_workflow": {"p_workflow_id": "wf"},
            "wfg_get_run": {"p_run_id": run_id},
            "wfg_watch_runs": {"p_newest": 10},
            "wfg_get_status": {"p_workflow_id": "wf"},
            "wfg_is_cancelled": of_log,
            "wfg_get_job": of_job,
            "wfg_get_outputs": of_job,
            "wfg_list_logs": of_log,
            "wfg_read_logs": of_log,
        }
        with engine_on(dsn) as engine:
            names = {row["name"] for row in engine.query(READERS)}
            assert {"wfg_list_queue", *arguments} <= names
            for name in sorted(names):
                engine.call(name, **arguments.get(name, {}))
            for state in ("queued", "running"):
                assert len(engine.call("wfg_list_jobs", p_state=state)["items"]) == (state == "running")
                assert len(engine.call("wfg_list_runs", p_state=state)["items"]) == (state == "running")
            assert engine.call("wfg_check", p_all=True) == []
            findings = engine.call("wfg_doctor")["findings"]
            assert "This server only reads: it is a standby." in [found["message"] for found in findings]
