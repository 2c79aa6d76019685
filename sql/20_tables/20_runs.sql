-- One execution of a version. Stored states; `queued` and `running` are derived while it is active.
create table wfg.runs (
  id              uuid        not null,    -- version 7: sorts by time of creation
  version_id      bigint      not null,
  created_at      timestamptz not null,
  start_at        timestamptz,             -- asked for; null means at once
  finished_at     timestamptz,
  open_left       integer     not null,    -- jobs not ended; in a wide run: slots of wfg.run_slots not empty
  state           text        not null default 'active',
  door            text        not null,    -- 'workflow': POST /api/workflows/{id}/run; 'run': everything else
  namespace       text        not null,
  workflow_id     text        not null,
  inputs          jsonb       not null default '{}',
  idempotency_key text,
  request_hash    bytea,                   -- of inputs and start time as sent, with an idempotency key
  started_by      text,
  reason          text,
  cancelled_by    text,
  cancel_reason   text,
  active_workflow_id text,                 -- of a run of the workflow door, while it is active
  logs_pruned_at  timestamptz,             -- its logs, or the first of them, were deleted before it; null: never
  traceparent     text,                    -- W3C trace context of whoever started it
  rerun_of        uuid,                    -- the run that this one repeats; it may have been pruned

  constraint runs_pkey primary key (id),
  constraint runs_of_version foreign key (version_id) references wfg.workflow_versions (id),
  -- One short CHECK: each is parsed again by every statement that writes the table. The rest is in wfg_check().
  constraint runs_state_known check (state in ('active', 'success', 'failure', 'cancelled'))
)
  with (fillfactor = 50);   -- room for the end of all runs of a page in one transaction: at 80, half were not HOT

-- The conflict with it is the no-op of a second POST /api/workflows/{id}/run.
-- No index mentions the state: so the end of a run is a HOT update, all but for this door.
create unique index runs_one_active_of_workflow_door on wfg.runs (namespace, active_workflow_id)
  where active_workflow_id is not null;
create index runs_of_workflow on wfg.runs (namespace, workflow_id, id);
create unique index runs_by_idempotency_key on wfg.runs (namespace, workflow_id, idempotency_key)
  where idempotency_key is not null;
create index runs_by_version on wfg.runs (version_id);


-- The counter of a wide run: open jobs by job_no mod 16.
create table wfg.run_slots (
  run_id    uuid     not null,
  slot      smallint not null,
  open_left integer  not null,

  constraint run_slots_pkey primary key (run_id, slot)
)
  with (fillfactor = 50);
