"""A thin typed caller of the rpc functions, the clock, and reads for assertions."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

RETURNS_ROWS = {"wfg_check"}


@dataclass(frozen=True)
class Raw:
    """JSON text that is sent as it is: for key order, and for text that is no JSON at all."""

    text: str


class Engine:
    """One session of the engine, in autocommit: one call, one transaction.

    It is the superuser's session, so it may set the clock. `connection` is the psycopg connection, for what
    is not here: transactions, notifications, roles.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.connection = psycopg.connect(
            dsn, autocommit=True, row_factory=dict_row, application_name="wfg-test"
        )
        self.pid = self.connection.info.backend_pid

    def close(self) -> None:
        self.connection.close()

    # --- calls ---

    def call(self, function: str, /, **params: Any) -> Any:
        """Call public.<function> with named arguments; the parsed answer, or its rows as a list of dicts.

        Arguments travel as text of unknown type, as through PostgREST: the function's own types decide. A
        dict or list is sent as JSON, a str as it is, a datetime as ISO 8601. psycopg.Error comes as it is.
        """
        if function in RETURNS_ROWS:
            query, values = self._query("select * from public.{}({})", function, params)
            return self.connection.execute(query, values).fetchall()

        text = self.call_text(function, **params)
        return None if text is None else json.loads(text)

    def call_text(self, function: str, /, **params: Any) -> str | None:
        """As call, but the answer's text, byte for byte."""
        query, values = self._query("select public.{}({})::text as answer", function, params)
        row = self.connection.execute(query, values).fetchone()
        assert row is not None
        return row["answer"]

    def fails(self, function: str, /, *, status: int, slug: str, **params: Any) -> psycopg.errors.Diagnostic:
        """The call must fail with this status and slug; the error's diag, for its detail and hint."""
        with pytest.raises(psycopg.Error) as caught:
            self.call(function, **params)

        error = caught.value
        assert (error.sqlstate, error.diag.message_primary) == (f"PT{status}", slug), error
        return error.diag

    def check(self) -> None:
        """wfg_check(true) must find nothing."""
        broken = self.call("wfg_check", p_all=True)
        assert broken == [], f"broken invariants: {broken}"

    @staticmethod
    def _query(
        template: str, function: str, params: Mapping[str, Any]
    ) -> tuple[sql.Composed, list[str | None]]:
        assert re.fullmatch(r"wfg_[a-z_]+", function), function
        names = [sql.SQL("{} => %s").format(sql.Identifier(name)) for name in params]
        query = sql.SQL(template).format(sql.Identifier(function), sql.SQL(", ").join(names))
        return query, [as_text(value) for value in params.values()]

    # --- the clock ---

    def set_now(self, at: datetime | None) -> None:
        """Set the clock of this session to an aware datetime; None gives it back the real one."""
        assert at is None or at.tzinfo is not None, "an aware datetime"
        self.query("select set_config('wfg.fake_now', %s, false)", "" if at is None else at.isoformat())

    def now(self) -> datetime:
        """What the engine's clock says in this session."""
        return self.query("select wfg.now() as now")[0]["now"].astimezone(UTC)

    def advance(self, seconds: float) -> datetime:
        """Move the clock of this session on from where it stands (a running one stops); the new time."""
        at = self.now() + timedelta(seconds=seconds)
        self.set_now(at)
        return at

    # --- reads ---

    def query(self, query: str, /, *params: Any) -> list[dict[str, Any]]:
        """Any statement; its rows as dicts ([] when it returns none)."""
        cursor = self.connection.execute(query, params or None)
        return cursor.fetchall() if cursor.description else []

    def tables(self) -> list[str]:
        """The names of all tables in schema wfg."""
        query = "select relname from pg_class where relnamespace = 'wfg'::regnamespace and relkind = 'r'"
        return [row["relname"] for row in self.query(f"{query} order by 1")]

    def state(self, run_id: str) -> str:
        """The state of a run, as on the wire."""
        return self.call("wfg_get_run", p_run_id=run_id)["state"]

    def jobs(self, run_id: str) -> dict[str, str]:
        """The states of a run's jobs, as on the wire, by job id."""
        return {job["job_id"]: job["state"] for job in self.call("wfg_get_run", p_run_id=run_id)["jobs"]}

    # --- shorthands ---

    def put(self, workflow_id: str = "wf", /, *, jobs: Mapping[str, Any], **top: Any) -> dict[str, Any]:
        """Put a workflow: put(jobs={"a": {"run": "true"}}, env={…}). `on` is written on_."""
        definition = {"on" if key == "on_" else key: value for key, value in top.items()}
        return self.call(
            "wfg_put_workflow", p_workflow_id=workflow_id, p_definition={**definition, "jobs": jobs}
        )

    def start(self, workflow_id: str = "wf", **params: Any) -> str:
        """Start a run; its id. start("wf", inputs={…}, start_at=…, idempotency_key=…)."""
        answer = self.call("wfg_start_run", p_workflow_id=workflow_id, **prefixed(params))
        return answer["run_id"]

    def claim(self, worker: str = "w1", labels: Iterable[str] = (), ttl: int = 30) -> dict[str, Any] | None:
        """Claim one job: None, or {"job":…,"lease":…}."""
        return self.call("wfg_claim_job", p_worker_id=worker, p_labels=list(labels), p_ttl_secs=ttl)

    def claim_many(
        self, limit: int, worker: str = "w1", labels: Iterable[str] = (), ttl: int = 30
    ) -> list[dict[str, Any]]:
        """Claim up to limit jobs."""
        return self.call(
            "wfg_claim_jobs", p_worker_id=worker, p_labels=list(labels), p_limit=limit, p_ttl_secs=ttl
        )

    def complete(
        self, claim: Mapping[str, Any] | str | None, outputs: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Complete a claim (or a lease id)."""
        return self.call("wfg_complete_job", p_lease_id=lease_id(claim), p_outputs=dict(outputs or {}))

    def fail(
        self, claim: Mapping[str, Any] | str | None, error: str = "boom", retryable: bool = False
    ) -> dict[str, Any]:
        """Fail a claim (or a lease id)."""
        return self.call("wfg_fail_job", p_lease_id=lease_id(claim), p_error=error, p_retryable=retryable)


def lease_id(claim: Mapping[str, Any] | str | None) -> str:
    """The lease id of a claim."""
    assert claim is not None, "nothing was claimed"
    return claim if isinstance(claim, str) else claim["lease"]["lease_id"]


def prefixed(params: Mapping[str, Any]) -> dict[str, Any]:
    """{"inputs": …} -> {"p_inputs": …}; what has the prefix keeps it."""
    return {name if name.startswith("p_") else f"p_{name}": value for name, value in params.items()}


def as_text(value: Any) -> str | None:
    match value:
        case None | str():
            return value
        case Raw(text):
            return text
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat()
        case Mapping() | Sequence():
            return json.dumps(value)
        case _:
            return str(value)
