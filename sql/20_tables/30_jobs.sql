-- One job of a run. Its primary key is its only index, and it has no foreign keys: they cut bulk start to a third.
-- Claiming does not touch it: `running` is a queued job whose queue row is leased.
create table wfg.jobs (
  run_id       uuid        not null,
  job_no       integer     not null,
  parents_left integer     not null,       -- parents not successful yet; of a wide job: slots that have any
  started_at   timestamptz,                -- of the attempt that ended it
  finished_at  timestamptz,
  attempt      integer     not null default 0,
  state        text        not null default 'queued',
  lease_nonce  uuid,                       -- of the report that ended it; a success without one is kept: wfg.is_kept
  worker_id    text,
  outputs      jsonb,                      -- null: none, or in wfg.outputs
  error        text,

  constraint jobs_pkey primary key (run_id, job_no),
  constraint jobs_state_known check (state in ('queued', 'success', 'failure', 'skipped', 'cancelled'))
)
  with (fillfactor = 35);   -- room for the ends of all jobs of a page in one transaction: HOT, and less space in all


-- The counter of a wide job: parents not successful yet, by their number mod 16.
create table wfg.join_slots (
  run_id       uuid     not null,
  job_no       integer  not null,
  slot         smallint not null,
  parents_left integer  not null,

  constraint join_slots_pkey primary key (run_id, job_no, slot)
)
  with (fillfactor = 50);


-- Outputs whose text is over 1 KiB, so that rows of wfg.jobs stay small.
create table wfg.outputs (
  run_id  uuid    not null,
  job_no  integer not null,
  outputs jsonb   not null,

  constraint outputs_pkey primary key (run_id, job_no),
  constraint outputs_of_run foreign key (run_id) references wfg.runs (id) on delete cascade
);


-- An attempt that did not end its job, or was cancelled.
create table wfg.attempts (
  run_id      uuid        not null,
  job_no      integer     not null,
  attempt     integer     not null,
  outcome     text        not null,
  worker_id   text        not null,
  lease_nonce uuid        not null,
  started_at  timestamptz not null,
  finished_at timestamptz not null,
  reported_at timestamptz,                 -- when its worker reported it; null: it never did
  error       text,

  constraint attempts_pkey primary key (run_id, job_no, attempt),
  constraint attempts_of_run foreign key (run_id) references wfg.runs (id) on delete cascade,
  constraint attempts_outcome_known check (outcome in ('failure', 'lease_expired', 'job_timed_out', 'cancelled'))
);
