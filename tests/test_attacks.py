"""What a role that may only call the API must not reach by it."""

import contextlib
from collections.abc import Callable
from hashlib import sha256

import psycopg
import pytest
from psycopg import sql

from tests.engine import Engine

ROLE = "wfg_test_mallory"

CALLS = {
    "wfg_worker": [
        "select public.wfg_claim_jobs('w', '[\"linux\"]', 10, 30)",
        "select public.wfg_complete_job('{lease}', '{{\"a\": \"1\"}}')",
        'select public.wfg_report_jobs(\'[{{"lease_id": "{lease}", "outcome": "success"}}]\')',
        "select public.wfg_renew_lease('{lease}')",
        "select public.wfg_is_cancelled('wf', 'a')",
        "select public.wfg_append_logs('{lease}', '[]')",
    ],
    "wfg_operator": [
        'select public.wfg_put_workflow(\'x\', \'{{"jobs": {{"a": {{"run": "true"}}}}}}\')',
        "select public.wfg_start_run('wf')",
        "select public.wfg_list_runs()",
        "select public.wfg_get_status('wf')",
        "select public.wfg_reap()",
        "select public.wfg_prune()",
        "select public.wfg_list_cron()",
        "select * from public.wfg_check(true)",
    ],
    "wfg_server": [
        "select wfg.authorize('\\x00', 'wfg_health')",
        "select wfg.authorize(sha256('token'), 'wfg_claim_job')",
        "select wfg.authorize(null, 'wfg_health')",
        "select wfg.authorize(null, 'wfg_health', true)",
    ],
}

TYPES = ["uuid", "text", "json", "jsonb", "timestamptz", "int4", "int8", "bool", "numeric", "interval"]
TYPES += ["bytea"]


@pytest.mark.parametrize("role", CALLS)
def test_types_and_tables_of_the_callers_own_do_not_run_as_the_owner(
    engine: Engine, connect: Callable[[], Engine], role: str
) -> None:
    engine.put(jobs={"a": {"run": "true", "labels": ["linux"]}})
    engine.start()
    lease = engine.claim(labels=["linux"])["lease"]["lease_id"]
    token = sha256(b"token").hexdigest()
    engine.call("wfg_create_token", p_name="t", p_scope="worker", p_sha256=token)
    make = "do $$ begin create role {}; exception when duplicate_object or unique_violation then null; end $$"
    engine.query(sql.SQL(make).format(sql.Identifier(ROLE)).as_string())

    session = connect()
    session.query(f"grant {role} to {ROLE}")
    try:
        session.query(f"set session authorization {ROLE}")
        session.query("create temporary table met (who name)")
        session.query("grant all on met to public")
        session.query(
            "create function pg_temp.met() returns boolean language plpgsql as"
            " $$begin insert into pg_temp.met values (current_user); return true; end$$"
        )
        for name in TYPES:
            session.query(f"create domain pg_temp.{name} as pg_catalog.{name} check (pg_temp.met())")
        for name in ["workflows", "queue", "jobs", "runs", "tokens", "pg_namespace", "pg_class"]:
            session.query(f"create temporary table {name} (id pg_catalog.int4)")
        session.query("delete from pg_temp.met")

        for call in CALLS[role]:
            with contextlib.suppress(psycopg.Error):  # a second report of the lease is refused
                session.query(call.format(lease=lease))

        assert session.query("select * from pg_temp.met") == []
    finally:
        session.query("reset session authorization")
        session.query(f"revoke {role} from {ROLE}")
