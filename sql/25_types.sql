-- Row types that the internal functions hand to each other.

-- A job, and what must be known of it to lock it in the right place.
create type wfg.job_ref as (
  run_id  uuid,
  job_no  integer,
  is_wide boolean
);

-- One item of wfg.report. run_id, job_no and lease_nonce are null when the lease id is not of our form.
create type wfg.report_item as (
  ord         integer,
  run_id      uuid,
  job_no      integer,
  lease_nonce uuid,
  outcome     text,       -- success, failure, release
  outputs     jsonb,
  error       text,
  retryable   boolean
);

-- What wfg.report answers to it.
create type wfg.report_answer as (
  ord     integer,
  ok      boolean,
  message text,           -- an error slug, when not ok
  job     text,           -- the job's state; null when the lease is unknown
  run     text
);

-- What is to happen to a leased job, and all that it takes.
create type wfg.transition as (
  ord             integer,
  move            text,   -- success, failure, cancelled: ends the job; retry, release, acknowledge: does not
  outcome         text,   -- of the attempt: failure, lease_expired, job_timed_out
  run_id          uuid,
  job_no          integer,
  version_id      bigint,
  is_wide         boolean,
  in_wide_run     boolean,
  narrow_children integer[],
  wide_children   integer[],
  attempt         integer,
  lost            integer,
  lane_id         integer,
  worker_id       text,
  leased_at       timestamptz,
  lease_nonce     uuid,
  retry_after     interval,
  outputs         jsonb,
  error           text
);

-- What wfg.complete_one must know of the job that it ends.
create type wfg.completion as (
  version_id      bigint,
  attempt         integer,
  worker_id       text,
  leased_at       timestamptz,
  in_wide_run     boolean,
  narrow_children integer[],
  wide_child      integer
);

-- So many parents, open jobs or slots less. job_no is null where a run is meant.
create type wfg.job_delta as (
  run_id uuid,
  job_no integer,
  delta  integer
);

-- A job that ended just now.
create type wfg.ended_job as (
  run_id      uuid,
  job_no      integer,
  in_wide_run boolean
);

-- What is known of a worker that claims: the lanes of its label set, the mark of the first, and when it was heard of.
create type wfg.claimer as (
  lane_ids     integer[],
  priorities   integer[],
  used_at      timestamptz,
  low_water_at timestamptz,
  look_at      timestamptz,
  refreshed_at timestamptz,
  labels       text[],
  last_seen_at timestamptz,
  any_paused   boolean
);

-- A lease just granted, and what wfg.claim_json needs of its job and run.
create type wfg.granted_lease as (
  run_id        uuid,
  job_no        integer,
  version_id    bigint,
  ready_at      timestamptz,
  enqueued_at   timestamptz,
  attempt       integer,
  lease_nonce   uuid,
  worker_id     text,
  ttl_secs      integer,
  leased_at     timestamptz,
  expires_at    timestamptz,
  key           text,
  parents       integer[],
  claim_fixed   text,
  claim_command text,
  door          text,
  workflow_id   text,
  inputs        jsonb,
  traceparent   text,
  grant_no      bigint      -- of wfg.total_claims, which counts them
);

-- A lane that a claim looks into, and where it starts to look.
create type wfg.lane_head as (
  lane_id      integer,
  priority     integer,
  low_water_at timestamptz,
  look_at      timestamptz,
  refreshed_at timestamptz
);

-- How many jobs a claim means to take from a lane, and from where on.
create type wfg.lane_share as (
  lane_id      integer,
  low_water_at timestamptz,
  jobs         integer
);

-- Which runs are listed. Null: whatever it is.
create type wfg.run_filter as (
  workflow_id     text,
  state           text,       -- as on the wire
  from_id         uuid,       -- the least id, and the first that is too great; never null
  to_id           uuid,
  inputs          jsonpath,   -- a predicate on them
  label           text,
  started_by      text,
  idempotency_key text
);

-- What a look at some runs, newest first, has found.
create type wfg.run_walk as (
  found   uuid[],             -- those that match
  walked  integer,            -- how many were read
  last_id uuid                -- the last one read
);

-- Which jobs of the queue are listed. Null: whatever it is.
create type wfg.job_filter as (
  workflow_id text,
  state       text,           -- as on the wire, or what it waits for
  worker_id   text,
  label       text,
  lane_ids    integer[]       -- those with that label
);

-- What a look at some jobs of the queue, in descending order, has found.
create type wfg.job_walk as (
  found  wfg.job_ref[],
  walked integer,
  last   wfg.job_ref
);

-- Live workers with the same labels.
create type wfg.crew as (
  labels  text[],             -- sorted, distinct
  workers integer,
  idle    integer             -- those without a lease
);

-- A lane with anything in it, and where to begin to read what is not leased.
create type wfg.lane_use as (
  lane_id   integer,
  labels    text[],
  priority  integer,
  floor_at  timestamptz,
  running   bigint,
  is_paused boolean
);

-- What waits in a lane, for wfg_metrics. oldest_ready_at is null when nothing is ready.
create type wfg.lane_depth as (
  lane_id         integer,
  ready           integer,
  delayed         integer,
  held            integer,
  oldest_ready_at timestamptz
);
