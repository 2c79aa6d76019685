"""32 random clients on few shared runs: no deadlock, no undocumented answer, nothing lost, all ends."""

import os

import pytest

from tests.engine import Engine
from tests.hunt import EFFECT, TRANSACTION, Hunt, hunt_in, table_of


def assert_nothing_found(hunt: Hunt) -> None:
    assert not hunt.findings, "\n\n".join([f"seed {hunt.seed}", *hunt.findings, table_of(hunt)])


def assert_it_was_a_hunt(hunt: Hunt) -> None:
    """Everything was called, and was accepted and refused; it met with its like."""
    assert not hunt.not_called(), "a function that is new joins the hunt, or NOT_HUNTED"
    assert {(EFFECT, "ok"), (TRANSACTION, "ok")} <= hunt.counts.keys()

    refused = {slug for _, slug in hunt.counts}
    assert {"lease_not_held", "lease_cancelled", "already_reported", "idempotency_key_reused"} <= refused
    assert sum(hunt.waits) > 0
    claims = sum(count for (kind, _), count in hunt.counts.items() if kind.startswith("wfg_claim_"))
    assert hunt.outcomes("55P03") <= max(3, claims / 200), "claims wait"
    assert {outcome for _, _, outcome in hunt.ended} == {"success", "failure"}
    assert hunt.effects


def test_nothing_deadlocks(database):
    """Seconds of it, a quarter minute in CI on Postgres 15, and some of transactions of several calls."""
    hunt = hunt_in(database, seconds=float(os.environ.get("WFG_HUNT_SECS", "5")), transactions=2)

    assert_nothing_found(hunt)
    assert_it_was_a_hunt(hunt)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_deadlocks_in_a_minute(database, seed):
    hunt = hunt_in(database, seconds=60, transactions=15, seed=seed)

    assert_nothing_found(hunt)
    assert_it_was_a_hunt(hunt)


# Completing locks the run first: what every transition locks last.
RUN_FIRST = """
alter function public.wfg_complete_job(text, jsonb) rename to complete_job_in_order;

create function public.wfg_complete_job(p_lease_id text, p_outputs jsonb)
  returns json
  language plpgsql
as $$
begin
  perform 1 from wfg.runs r where r.id = split_part(p_lease_id, '.', 1)::uuid for no key update;
  return public.complete_job_in_order(p_lease_id, p_outputs);
end;
$$;

comment on function public.wfg_complete_job(text, jsonb) is
'Wrong on purpose. Errors: 409 lease_not_held, lease_cancelled, already_reported.';
"""


@pytest.mark.broken_on_purpose
def test_a_wrong_lock_order_is_found(database):
    """The hunt ends with its first finding."""
    engine = Engine(database)
    engine.query(RUN_FIRST)
    engine.close()

    hunt = hunt_in(database, seconds=60, transactions=0, enough=1)
    assert any("40P01" in finding for finding in hunt.findings), hunt.findings
