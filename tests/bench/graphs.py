"""The workflows that are measured, and what puts, claims and completes them by hand."""

import json
from collections.abc import Mapping
from typing import Any

import psycopg

Jobs = Mapping[str, Mapping[str, Any]]

ALONE: Jobs = {"a": {"run": "true"}}


def chain(length: int) -> Jobs:
    """One job after the other."""
    return {f"j{n}": {"run": "true", "needs": [f"j{n - 1}"]} if n else {"run": "true"} for n in range(length)}


def diamond(parallel: int) -> Jobs:
    """One job, then so many, then one."""
    middle = {f"b{n}": {"run": "true", "needs": ["a"]} for n in range(parallel)}
    return {"a": {"run": "true"}, **middle, "c": {"run": "true", "needs": list(middle)}}


def flat(jobs: int) -> Jobs:
    """Jobs without dependencies."""
    return {f"j{n}": {"run": "true"} for n in range(jobs)}


def put(
    connection: psycopg.Connection[Any], workflow_id: str, jobs: Jobs, inputs: Mapping[str, Any] | None = None
) -> None:
    definition = {"inputs": inputs or {}, "jobs": jobs}
    connection.execute("select public.wfg_put_workflow(%s, %s::json)", [workflow_id, json.dumps(definition)])


def claim(connection: psycopg.Connection[Any], limit: int) -> list[str]:
    """Claim so many jobs; their lease ids."""
    row = connection.execute("select public.wfg_claim_jobs('bench', '[]', %s, 3600)", [limit]).fetchone()
    assert row is not None
    return [claim["lease"]["lease_id"] for claim in row[0]]


def complete(connection: psycopg.Connection[Any], leases: list[str]) -> None:
    """Complete all of them, in one transaction."""
    reports = [{"lease_id": lease, "outcome": "success"} for lease in leases]
    connection.execute("select public.wfg_report_jobs(%s::jsonb, true)", [json.dumps(reports)])
