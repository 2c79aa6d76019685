"""Runs by the hundred thousand, for plan tests and benchmarks: set-based inserts that leave wfg_check clean.

They write what wfg.insert_runs and the reports write; tests/test_bulk.py holds them to it.
"""

from datetime import timedelta
from typing import Any

import psycopg

# Each run is created a microsecond after the one before, the last of them now; jobs are ready in that order.
RUNS = """
create temp table bulk_runs on commit drop as
select wfg.uuid_v7(b.at) as id, b.at, v.id as version_id, v.namespace, v.job_count
  from wfg.current_version(%(workflow_id)s) v
 cross join lateral (
         select wfg.now() - (%(runs)s - n) * interval '1 microsecond' as at
           from generate_series(1, %(runs)s) n
       ) b
"""

INSERT_RUNS = """
insert into wfg.runs (
  id, version_id, created_at, start_at, finished_at, open_left, state, door, namespace, workflow_id
)
select b.id, b.version_id, b.at, b.at + %(delay)s,
       case when %(finished)s then b.at end,
       case when %(finished)s then 0 when wfg.is_wide(b.job_count) then 16 else b.job_count end,
       case when %(finished)s then 'success' else 'active' end,
       'run', b.namespace, %(workflow_id)s
  from bulk_runs b
"""

INSERT_JOBS = """
insert into wfg.jobs (run_id, job_no, parents_left, started_at, finished_at, state, lease_nonce, worker_id)
select b.id, s.job_no,
       case
         when %(finished)s then 0
         when s.is_wide then (select count(distinct p.job_no %% 16) from unnest(s.parents) p (job_no))
         else cardinality(s.parents)
       end,
       case when %(finished)s then b.at end,
       case when %(finished)s then b.at end,
       case when %(finished)s then 'success' else 'queued' end,
       case when %(finished)s then gen_random_uuid() end,
       case when %(finished)s then 'bulk' end
  from bulk_runs b
  join wfg.job_specs s on s.version_id = b.version_id
"""

INSERT_QUEUE = """
insert into wfg.queue (run_id, job_no, lane_id, version_id, ready_at, enqueued_at)
select b.id, s.job_no, s.lane_id, s.version_id, b.at + coalesce(%(delay)s, interval '0'), b.at
  from bulk_runs b
  join wfg.job_specs s on s.version_id = b.version_id
 where s.parents = '{}'
 order by b.at, s.job_no
"""

INSERT_RUN_SLOTS = """
insert into wfg.run_slots (run_id, slot, open_left)
select b.id, s.job_no %% 16, count(*)
  from bulk_runs b
  join wfg.job_specs s on s.version_id = b.version_id
 where wfg.is_wide(b.job_count)
 group by 1, 2
"""

INSERT_JOIN_SLOTS = """
insert into wfg.join_slots (run_id, job_no, slot, parents_left)
select b.id, s.job_no, p.job_no %% 16, count(*)
  from bulk_runs b
  join wfg.job_specs s on s.version_id = b.version_id
 cross join lateral unnest(s.parents) p (job_no)
 where s.is_wide
 group by 1, 2, 3
"""


def start(
    connection: psycopg.Connection[Any],
    workflow_id: str,
    runs: int,
    *,
    delay: timedelta | None = None,
    finished: bool = False,
) -> None:
    """Start so many runs of a workflow, in one transaction.

    delay: they start that much later. finished: all their jobs have succeeded.
    """
    values = {"workflow_id": workflow_id, "runs": runs, "delay": delay, "finished": finished}
    active = [] if finished else [INSERT_QUEUE, INSERT_RUN_SLOTS, INSERT_JOIN_SLOTS]
    with connection.transaction():
        for statement in (RUNS, INSERT_RUNS, INSERT_JOBS, *active):
            connection.execute(statement, values)
