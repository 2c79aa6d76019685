-- What is held, delayed, ready or leased now, and cancelled leases: small, and empty when nothing is going on.
-- A row is deleted when its job is done; retry, release and a lost lease update it in place.
create table wfg.queue (
  run_id                uuid        not null,
  job_no                integer     not null,
  lane_id               integer     not null,
  version_id            bigint      not null,
  ready_at              timestamptz not null,  -- in the future: delayed, scheduled or held
  enqueued_at           timestamptz not null,
  attempt               integer     not null default 0,
  lost                  integer     not null default 0, -- leases charged to lost_retries
  log_bytes             bigint      not null default 0, -- below zero: kept so far, then the marker
  lease_nonce           uuid,                  -- null: not leased
  worker_id             text,
  ttl_secs              integer,
  leased_at             timestamptz,
  expires_at            timestamptz,           -- the earlier of lease and timeout
  timeout_at            timestamptz,
  held_from             timestamptz,           -- when it would have been ready, were it not held for a cancelled lease
  cancelled_at          timestamptz,           -- a cancelled lease: never renewed, gone by acknowledgement or upkeep
  cancelled_workflow_id text,                  -- of a cancelled lease of the workflow door
  cancelled_job_id      text,

  constraint queue_pkey primary key (run_id, job_no)
)
  with (
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 20000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 10000,
    autovacuum_vacuum_cost_delay = 0
  );

create index queue_ready on wfg.queue (lane_id, ready_at, run_id, job_no) where lease_nonce is null;
create index queue_by_expiry on wfg.queue (expires_at) where lease_nonce is not null;
create index queue_cancelled on wfg.queue (cancelled_workflow_id, cancelled_job_id)
  where cancelled_workflow_id is not null;


-- A hint per lane: no ready row lies below it, or claims find out. Under a transaction held open elsewhere the head of
-- queue_ready fills with dead entries; the mark lets a claim start behind them. Lane 0 stands for queue_by_expiry.
create unlogged table wfg.lane_marks (
  lane_id      integer     not null,
  low_water_at timestamptz not null,
  scanned_at   timestamptz not null,       -- the last scan from the bottom
  refreshed_at timestamptz not null,
  look_at      timestamptz not null default '-infinity',   -- from when on idle workers may scan from the bottom

  constraint lane_marks_pkey primary key (lane_id)
)
  with (fillfactor = 20);


-- When upkeep is next due, in epoch milliseconds. A sequence, not a table: every claim reads it, and a row updated four
-- times a second would leave a trail of dead versions behind whenever a transaction is held open elsewhere.
-- Unlogged: after a crash it starts over, and no value yet means now.
create unlogged sequence wfg.upkeep_due_ms;
