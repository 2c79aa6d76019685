-- Revision 0001 of wfg, for `supabase db push`. Written by `wfg db export`: do not edit.
-- What is between the two marks is what `wfg db upgrade` runs, byte for byte. Where that was first, nothing
-- is run: the CLI only notes that this file is done.
set wfg.migration = $migration$create schema if not exists wfg;

CREATE TABLE wfg.alembic_version (
    version_num VARCHAR(32) NOT NULL, 
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> 0001

-- Functions call each other across files, whatever the order. tests/test_house_rules.py checks all bodies in the end.
set check_function_bodies = off;
-- Schema wfg holds the tables and helpers; PostgREST does not expose it. public holds only wfg_* functions, the API.
create schema if not exists wfg;

comment on schema wfg is
'Tables and helpers of wfg. Nobody but the owner reads them; the API is the wfg_* functions in schema public.';


-- The clock. plpgsql, because a SQL function takes ten times as long; clock_timestamp(), because now() stands still
-- in the long transaction of a worker that completes a job together with its own writes.
create or replace function wfg.now()
  returns timestamptz
  language plpgsql
  volatile
as $$
begin
  if wfg.clock_is_set() then
    return current_setting('wfg.fake_now')::timestamptz;
  end if;

  return clock_timestamp();
end;
$$;

comment on function wfg.now() is
$$The one clock of the engine. Read it once per call, after the locks are had.

A session whose session_user is a member of the owner of schema wfg may set it: set wfg.fake_now = '2030-01-01'.
For everybody else that setting is ignored.$$;


create or replace function wfg.clock_is_set()
  returns boolean
  language plpgsql
  stable
as $$
begin
  if coalesce(current_setting('wfg.fake_now', true), '') = '' then
    return false;
  end if;

  return pg_has_role(
    session_user,
    (select n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'wfg'),
    'member'
  );
end;
$$;

comment on function wfg.clock_is_set() is
'Whether this session has set the clock, and may. It then does upkeep in every claim, and leaves its next time alone.';


create or replace function wfg.epoch_ms(p_at timestamptz)
  returns bigint
  language plpgsql
  immutable
  strict
  parallel safe
as $$
begin
  return floor(extract(epoch from p_at) * 1000);
end;
$$;

comment on function wfg.epoch_ms(timestamptz) is
'Epoch milliseconds: the form of every instant on the wire. Null stays null.';


-- Keys of workflows, lanes, label sets, workers and idempotency carry a namespace, so that tenants can come later.
create or replace function wfg.namespace()
  returns text
  language sql
  immutable
  parallel safe
as $$
  select ''::text;
$$;

comment on function wfg.namespace() is 'The namespace of the caller. One for all today.';


-- Above this number of parents (jobs of a run) one counter becomes sixteen: see sql/README.md, Counting.
create or replace function wfg.is_wide(p_count integer)
  returns boolean
  language sql
  immutable
  parallel safe
as $$
  select p_count > 16;
$$;

comment on function wfg.is_wide(integer) is
'Whether so many parents of a job, or jobs of a run, are counted in 16 slots instead of one row.';


create or replace function wfg.max_log_bytes()
  returns bigint
  language sql
  immutable
  parallel safe
as $$
  select 16 * 1024 * 1024::bigint;
$$;

comment on function wfg.max_log_bytes() is
'How many bytes of log a job may keep, all attempts together. What comes after is dropped, with a marker.';


create or replace function wfg.max_upstream_bytes()
  returns integer
  language sql
  immutable
  parallel safe
as $$
  select 4 * 1024 * 1024;
$$;

comment on function wfg.max_upstream_bytes() is
'How many bytes of outputs a claim hands on, of all parents together. The rest is read by wfg_get_outputs.';


create or replace function wfg.schema_revision()
  returns text
  language sql
  immutable
  parallel safe
as $$
  select '0001'::text;
$$;

comment on function wfg.schema_revision() is 'The alembic revision that this text of sql/ belongs to.';
-- A workflow id and its current version. Deleting marks it: its runs stay, and go on.
create table wfg.workflows (
  namespace     text        not null,
  id            text        not null,
  version       integer     not null,
  created_at    timestamptz not null,
  updated_at    timestamptz not null,
  deleted_at    timestamptz,
  latest_run_id uuid,                      -- of the workflow door: the greatest of its ids; may have been pruned

  constraint workflows_pkey primary key (namespace, id),
  constraint workflows_version_is_positive check (version >= 1)
);

-- Listed in the order of creation.
create index workflows_by_creation on wfg.workflows (namespace, created_at, id) where deleted_at is null;


-- An immutable definition. A run pins one.
create table wfg.workflow_versions (
  id          bigint      generated always as identity,
  namespace   text        not null,
  workflow_id text        not null,
  version     integer     not null,
  name        text        not null,
  trigger     text        not null,        -- display text, such as "on: push"
  source      json        not null,        -- as it was sent, key order kept
  definition  jsonb       not null,        -- its normal form: sql/README.md, Normal form
  inputs      jsonb       not null,        -- of that form; apart, so that a start does not read the whole
  job_count   integer     not null,
  created_at  timestamptz not null,

  constraint workflow_versions_pkey primary key (id),
  constraint workflow_versions_numbered unique (namespace, workflow_id, version),
  constraint workflow_versions_of_workflow foreign key (namespace, workflow_id) references wfg.workflows (namespace, id)
);


-- One distinct pair of required labels and priority. The queue is indexed by it, so a claim never meets a job that
-- its worker cannot run.
create table wfg.lanes (
  id        integer generated always as identity,
  namespace text    not null,
  labels    text[]  not null,              -- sorted, distinct
  priority  integer not null,

  constraint lanes_pkey primary key (id),
  constraint lanes_distinct unique (namespace, labels, priority)
);


-- One distinct set of worker labels, with the lanes it may take: highest priority first.
create table wfg.label_sets (
  id         integer     generated always as identity,
  namespace  text        not null,
  labels     text[]      not null,         -- sorted, distinct
  lane_ids   integer[]   not null,
  priorities integer[]   not null,         -- of those lanes, in the same order
  used_at    timestamptz not null,         -- to the hour; unused for a day means pruned

  constraint label_sets_pkey primary key (id),
  constraint label_sets_distinct unique (namespace, labels)
);


-- A job of a version. job_no is topological: a child's number is greater than its parents'.
create table wfg.job_specs (
  version_id      bigint  not null,
  job_no          integer not null,        -- 1 .. job_count
  display_no      integer not null,        -- place in the file, from 1
  key             text    not null,
  name            text    not null,
  lane_id         integer not null,
  retries         integer not null default 0,
  lost_retries    integer not null default 0,
  backoff         text    not null default 'none',
  backoff_base    integer,                 -- seconds; also the delay of a fixed backoff
  backoff_max     integer,                 -- seconds
  backoff_jitter  numeric not null default 0,
  timeout_secs    integer,
  labels          text[]  not null default '{}',   -- as written
  parents         integer[] not null default '{}',
  narrow_children integer[] not null default '{}', -- children with at most 16 parents
  wide_children   integer[] not null default '{}', -- children with more
  is_wide         boolean not null,        -- this job has more than 16 parents
  in_wide_run     boolean not null,        -- its run has more than 16 jobs
  env             jsonb   not null default '{}',   -- object of strings: the file's and the job's, merged
  script          text    not null,        -- what runs, without the exports of env
  command         text    not null,        -- those exports, then script: self-contained
  claim_fixed     text    not null,        -- members of a claim's job that no run changes: JSON made once
  claim_command   text    not null,        -- likewise command and env, when nothing is handed on
  job_group       text,
  metadata        json    not null default '{}',
  ports           json    not null default '[]',
  nested_jobs     json,                    -- `children` of the API's job list: for renderers only
  collapsed       boolean not null default false,

  constraint job_specs_pkey primary key (version_id, job_no),
  -- Key first: on a table never analyzed, any index that begins with version_id looks as good as the primary key.
  constraint job_specs_keyed unique (key, version_id),
  constraint job_specs_of_version foreign key (version_id) references wfg.workflow_versions (id) on delete cascade,
  constraint job_specs_lane foreign key (lane_id) references wfg.lanes (id),
  constraint job_specs_backoff_known check (backoff in ('none', 'fixed', 'exponential')),
  constraint job_specs_retries_in_range check (retries between 0 and 100 and lost_retries between 0 and 100),
  constraint job_specs_parents_come_first check (job_no > all (parents))
);

create index job_specs_by_lane on wfg.job_specs (lane_id);
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
  lease_nonce  uuid,                       -- of the report that ended it
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
  log_bytes             bigint      not null default 0,
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

  constraint lane_marks_pkey primary key (lane_id)
)
  with (fillfactor = 20);


-- When upkeep is next due, in epoch milliseconds. A sequence, not a table: every claim reads it, and a row updated four
-- times a second would leave a trail of dead versions behind whenever a transaction is held open elsewhere.
-- Unlogged: after a crash it starts over, and no value yet means now.
create unlogged sequence wfg.upkeep_due_ms;
-- A piece of a job's output. A retried append meets the primary key and is stored once.
create table wfg.log_chunks (
  run_id       uuid     not null,
  job_no       integer  not null,
  attempt      integer  not null,
  sequence     bigint   not null,          -- from 0 in each attempt
  timestamp_ms bigint   not null,          -- the worker's clock, as sent
  stream       text     not null,
  data         text     not null,

  constraint log_chunks_pkey primary key (run_id, job_no, attempt, sequence),
  constraint log_chunks_of_run foreign key (run_id) references wfg.runs (id) on delete cascade,
  constraint log_chunks_stream_known check (stream in ('stdout', 'stderr'))
);
-- A worker: registered, or met at its first claim. Busy, idle and offline are derived.
create table wfg.workers (
  namespace     text        not null,
  id            text        not null,
  labels        text[]      not null,      -- as sent
  registered_at timestamptz not null,
  last_seen_at  timestamptz not null,      -- written only when older than 5 s

  constraint workers_pkey primary key (namespace, id)
)
  with (fillfactor = 50);
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
  scanned_at   timestamptz,
  refreshed_at timestamptz,
  labels       text[],
  last_seen_at timestamptz
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
  inputs        jsonb
);

-- A lane that a claim looks into, and where it starts to look.
create type wfg.lane_head as (
  lane_id      integer,
  priority     integer,
  low_water_at timestamptz,
  scanned_at   timestamptz,
  refreshed_at timestamptz
);

-- How many jobs a claim means to take from a lane, and from where on.
create type wfg.lane_share as (
  lane_id      integer,
  low_water_at timestamptz,
  jobs         integer
);
-- Row types of reading a definition.

-- A key that a definition may have, or that is refused with an explanation: wfg.known_keys().
create type wfg.known_key as (
  level    text,          -- of what: file, job, step …
  key      text,          -- '*': any name, or every element of a list
  types    text[],        -- that its value may have (wfg.json_type); {}: the key is refused
  least    numeric,       -- of a number; characters of a string; members of a list or mapping
  most     numeric,
  choices  text[],        -- of a string
  required boolean,
  items    text,          -- level of the elements, when it is a list
  members  text,          -- level of the members, when it is a mapping
  hint     text           -- what to write instead
);

-- A value met in a definition.
create type wfg.definition_node as (
  place   integer[],      -- of each member on the way, from 1; in file order
  path    text,           -- jobs.build.needs[0]
  level   text,
  key     text,
  value   json,
  type    text,
  members text            -- level of what is in it; null: not looked into
);

-- What is wrong with a definition, and where.
create type wfg.definition_problem as (
  place      integer[],
  path       text,
  message    text,
  hint       text,
  is_warning boolean
);

-- A dependency met in a definition. Jobs are their places in it, from 1.
create type wfg.definition_need as (
  place  integer[],
  path   text,
  child  integer,
  name   text,
  parent integer          -- null: there is no job of that name
);

-- A dependency of a normal form. Jobs are their places in it, from 1.
create type wfg.job_edge as (
  child  integer,
  parent integer,
  place  integer          -- among the child's needs
);
create or replace function wfg.acknowledge(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  -- A lease that ran out in silence was never reported: the attempt keeps saying so.
  update wfg.attempts a
     set reported_at = p_now,
         error       = m.error
    from unnest(p_moves) m
   where m.ord is not null
     and a.run_id = m.run_id
     and a.job_no = m.job_no
     and a.attempt = m.attempt;

  perform wfg.let_go(p_moves, p_now);

  delete from wfg.queue q
   using unnest(p_moves) m
   where q.run_id = m.run_id
     and q.job_no = m.job_no;
end;
$$;

comment on function wfg.acknowledge(wfg.transition[], timestamptz) is
'End cancelled leases, whose rows are locked: reported by their workers, whose last word is kept with the
attempt, or run out.';
create or replace function wfg.acknowledgement(p_move wfg.transition)
  returns wfg.transition
  language plpgsql
  immutable
as $$
begin
  p_move.move := 'acknowledge';

  return p_move;
end;
$$;

comment on function wfg.acknowledgement(wfg.transition) is
'The same report, as the acknowledgement of a cancelled lease.';
create or replace function wfg.active_runs_before(
  p_before      uuid,
  p_workflow_id text,
  p_state       text,
  p_limit       integer
)
  returns wfg.runs[]
  language plpgsql
  stable
as $$
declare
  v_id   uuid := p_before;
  v_run  wfg.runs;
  v_runs wfg.runs[] := '{}'::wfg.runs[];
begin
  -- An active run has something in the queue: walk its runs, one probe each.
  while cardinality(v_runs) < p_limit loop
    select q.run_id into v_id from wfg.queue q where q.run_id < v_id order by q.run_id desc limit 1;

    exit when v_id is null;

    select r.* into v_run from wfg.runs r where r.id = v_id;

    if v_run.namespace = wfg.namespace()
       and v_run.state = 'active'
       and v_run.workflow_id = coalesce(p_workflow_id, v_run.workflow_id)
       and wfg.run_state(v_id) = p_state
    then
      v_runs := v_runs || v_run;
    end if;
  end loop;

  return v_runs;
end;
$$;

comment on function wfg.active_runs_before(uuid, text, text, integer) is
'Active runs with smaller ids that are queued, or running, newest first. p_workflow_id: null for all.';
create or replace function wfg.add_label_set(
  p_labels text[],
  p_now    timestamptz
)
  returns wfg.label_sets
  language plpgsql
  volatile
as $$
declare
  v_set wfg.label_sets;
begin
  perform wfg.lock_lanes();

  insert into wfg.label_sets (namespace, labels, lane_ids, priorities, used_at)
  select wfg.namespace(), p_labels,
         coalesce(array_agg(l.id order by l.priority desc, l.id), '{}'),
         coalesce(array_agg(l.priority order by l.priority desc, l.id), '{}'),
         date_trunc('hour', p_now)
    from wfg.lanes l
   where l.namespace = wfg.namespace()
     and l.labels <@ p_labels
      on conflict on constraint label_sets_distinct do nothing;

  -- Ours, or that of whoever had the lock before.
  select s.*
    into v_set
    from wfg.label_sets s
   where s.namespace = wfg.namespace()
     and s.labels = p_labels;

  return v_set;
end;
$$;

comment on function wfg.add_label_set(text[], timestamptz) is
'Insert a label set with the lanes it may take. p_labels: sorted, distinct.';
create or replace function wfg.add_lanes(p_definition jsonb)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_unknown wfg.lanes[];
  v_added   integer[];
begin
  v_unknown := wfg.unknown_lanes(p_definition);

  if v_unknown = '{}' then
    return;
  end if;

  perform wfg.lock_lanes();

  with added as (
    insert into wfg.lanes (namespace, labels, priority)
    select u.namespace, u.labels, u.priority
      from unnest(v_unknown) u
     order by u.priority, u.labels
        on conflict on constraint lanes_distinct do nothing
    returning id
  )
  select array_agg(a.id)
    into v_added
    from added a;

  update wfg.label_sets s
     set lane_ids = m.lane_ids,
         priorities = m.priorities
    from wfg.label_sets t
   cross join lateral (
     select array_agg(l.id order by l.priority desc, l.id) as lane_ids,
            array_agg(l.priority order by l.priority desc, l.id) as priorities,
            bool_or(l.is_new) as has_new
       from (
         select k.id, k.priority, false as is_new
           from unnest(t.lane_ids, t.priorities) k (id, priority)
         union all
         select n.id, n.priority, true
           from wfg.lanes n
          where n.id = any (v_added)
            and n.namespace = t.namespace
            and n.labels <@ t.labels
       ) l
   ) m
   where t.id = s.id
     and m.has_new;
end;
$$;

comment on function wfg.add_lanes(jsonb) is
$$Create the lanes of a normal form that are not there yet, and give them to every label set that may take them.$$;
create or replace function wfg.announce(
  p_channel text,
  p_number  integer
)
  returns void
  language plpgsql
  volatile
as $$
begin
  -- NOTIFY takes a lock of the whole database at commit. One announcer at a time per number; who comes meanwhile says
  -- nothing, so a listener looks again for a while after each word, and now and then without one.
  if pg_try_advisory_xact_lock(wfg.lock_class() + 1, p_number) then
    perform pg_notify(p_channel, p_number::text);
  end if;
end;
$$;

comment on function wfg.announce(text, integer) is
$$A hint to listeners, sent at commit: channel wfg_wake with the number of a lane where something is ready, or wfg_runs.

The tables are the truth: losing it costs latency, never a job.$$;
create or replace function wfg.answer_reports(
  p_items wfg.report_item[],
  p_moves wfg.transition[]
)
  returns wfg.report_answer[]
  language plpgsql
  volatile
as $$
declare
  v_answers wfg.report_answer[];
begin
  select array_agg(
           (
             m.ord, true, null::text,
             case m.move
               when 'acknowledge' then 'cancelled'
               when 'retry' then 'queued'
               when 'release' then 'queued'
               else m.move
             end,
             case
               when r.state <> 'active' then r.state
               when m.move = 'release' then wfg.run_state(r.id)
               else 'running'
             end
           )::wfg.report_answer
           order by m.ord
         )
    into v_answers
    from unnest(p_moves) m
    join wfg.runs r on r.id = m.run_id;

  if cardinality(v_answers) = cardinality(p_items) then
    return v_answers;
  end if;

  return (
    select array_agg(a.answer order by (a.answer).ord)
      from (
             select unnest(v_answers) as answer
             union all
             select wfg.refusal(i)
               from unnest(p_items) i
              where i.ord not in (select m.ord from unnest(p_moves) m)   -- not exists would be a loop in a loop
           ) a
  );
end;
$$;

comment on function wfg.answer_reports(wfg.report_item[], wfg.transition[]) is
'One answer per item, in their order: accepted (its ord is among the moves), or the reason why its lease does
not hold.';
create or replace function wfg.any_cancelled_lease()
  returns boolean
  language plpgsql
  volatile
as $$
begin
  return exists (select from wfg.queue q where q.cancelled_workflow_id is not null);
end;
$$;

comment on function wfg.any_cancelled_lease() is
'Whether a cancelled lease of the workflow door lives anywhere. Mostly not: one probe of an empty index.';
create or replace function wfg.apply(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_ends     wfg.transition[];
  v_requeues wfg.transition[];
  v_others   wfg.transition[];
begin
  select array_agg(m) filter (where m.move in ('success', 'failure')),
         array_agg(m) filter (where m.move in ('retry', 'release')),
         array_agg(m) filter (where m.move = 'acknowledge')
    into v_ends, v_requeues, v_others
    from unnest(p_moves) m;

  if v_ends is not null then
    perform wfg.settle(v_ends, p_now);
  end if;

  if v_requeues is not null then
    perform wfg.requeue(v_requeues, p_now);
  end if;

  if v_others is not null then
    perform wfg.acknowledge(v_others, p_now);
  end if;
end;
$$;

comment on function wfg.apply(wfg.transition[], timestamptz) is
'Carry out the moves of leases that hold, or are over: jobs end, are queued again, or a cancelled lease goes.';
create or replace function wfg.attempts_json(
  p_run_id uuid,
  p_job_no integer
)
  returns json
  language plpgsql
  stable
as $$
begin
  return coalesce(
    (
      select json_agg(
               json_build_object(
                 'attempt', a.attempt,
                 'outcome', a.outcome,
                 'worker_id', a.worker_id,
                 'started_at_ms', wfg.epoch_ms(a.started_at),
                 'finished_at_ms', wfg.epoch_ms(a.finished_at),
                 'error', a.error
               )
               order by a.attempt
             )
        from wfg.attempts a
       where a.run_id = p_run_id
         and a.job_no = p_job_no
    ),
    '[]'
  );
end;
$$;

comment on function wfg.attempts_json(uuid, integer) is
'The attempts of a job that did not end it, and a cancelled one, in their order.';
create or replace function wfg.backoff_json(
  p_backoff text,
  p_base    integer,
  p_max     integer
)
  returns json
  language plpgsql
  immutable
as $$
begin
  return case p_backoff
    when 'fixed' then
      json_build_object('Fixed', json_build_object('delay_secs', p_base))
    when 'exponential' then
      json_build_object(
        'Exponential',
        json_build_object('base_secs', p_base, 'max_secs', p_max)
      )
    else to_json('None'::text)
  end;
end;
$$;

comment on function wfg.backoff_json(text, integer, integer) is
'A job''s backoff in the form that workflow-graph workers parse: whole seconds, the names as they are.';
create or replace function wfg.broken_definitions()
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    select 'a workflow has its current version', format('workflow %s', w.id), format('version %s', w.version)
      from wfg.workflows w
     where not exists (
             select
               from wfg.workflow_versions v
              where v.namespace = w.namespace
                and v.workflow_id = w.id
                and v.version = w.version
           )
    union all
    select 'a version has the jobs that it counts', format('version %s', v.id), format('%s', v.job_count)
      from wfg.workflow_versions v
     where v.job_count <> (select count(*) from wfg.job_specs s where s.version_id = v.id)
    union all
    select 'children and parents name each other', format('version %s', e.version_id),
           format('job %s needs job %s', e.child, e.parent)
      from (
             (
               select s.version_id, p.job_no as parent, s.job_no as child, s.is_wide
                 from wfg.job_specs s
                cross join lateral unnest(s.parents) p (job_no)
               except
               select s.version_id, s.job_no, c.job_no, c.is_wide
                 from wfg.job_specs s
                cross join lateral (
                        select n.job_no, false from unnest(s.narrow_children) n (job_no)
                        union all
                        select w.job_no, true from unnest(s.wide_children) w (job_no)
                      ) c (job_no, is_wide)
             )
             union all
             (
               select s.version_id, s.job_no, c.job_no, null::boolean
                 from wfg.job_specs s
                cross join lateral unnest(s.narrow_children || s.wide_children) c (job_no)
               except
               select s.version_id, p.job_no, s.job_no, null::boolean
                 from wfg.job_specs s
                cross join lateral unnest(s.parents) p (job_no)
             )
           ) e
    union all
    select 'a label set has all the lanes that it may take, highest priority first', format('label set %s', l.id),
           format('lanes %s', l.lane_ids)
      from wfg.label_sets l
     where l.lane_ids is distinct from array(
             select n.id
               from wfg.lanes n
              where n.namespace = l.namespace
                and n.labels <@ l.labels
              order by n.priority desc, n.id
           )
        or l.priorities is distinct from array(
             select n.priority
               from wfg.lanes n
              where n.namespace = l.namespace
                and n.labels <@ l.labels
              order by n.priority desc, n.id
           );
end;
$$;

comment on function wfg.broken_definitions() is 'The part of wfg_check about workflows, versions, lanes and
label sets.';
create or replace function wfg.broken_jobs(p_all boolean)
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    with chosen as (
      select j.*, s.version_id, s.parents, s.is_wide
        from wfg.runs r
        join wfg.jobs j on j.run_id = r.id
        left join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no
       where p_all
          or r.state = 'active'
    ),
    -- All edges in one join: a look at the parents job by job takes the square of the jobs.
    parents as (
      select c.run_id, c.job_no,
             count(*) filter (where p.state <> 'success') as parents_open,
             bool_or(p.state in ('failure', 'cancelled', 'skipped')) as parent_bad
        from chosen c
       cross join lateral unnest(c.parents) n (job_no)
        join wfg.jobs p on p.run_id = c.run_id and p.job_no = n.job_no
       group by c.run_id, c.job_no
    ),
    slots as (
      select l.run_id, l.job_no, count(*) filter (where l.parents_left > 0) as open_slots
        from wfg.join_slots l
       group by l.run_id, l.job_no
    ),
    looked_at as (
      select c.*, c.version_id is not null as has_spec,
             q.run_id is not null as is_queued,
             q.cancelled_at is not null as is_cancelled_lease,
             coalesce(p.parents_open, 0) as parents_open,
             coalesce(p.parent_bad, false) as parent_bad,
             case when c.is_wide then coalesce(l.open_slots, 0) end as open_slots,
             o.run_id is not null as has_big_outputs
        from chosen c
        left join parents p on p.run_id = c.run_id and p.job_no = c.job_no
        left join slots l on l.run_id = c.run_id and l.job_no = c.job_no
        left join wfg.queue q on q.run_id = c.run_id and q.job_no = c.job_no
        left join wfg.outputs o on o.run_id = c.run_id and o.job_no = c.job_no
    )
    select b.invariant, format('run %s job %s', l.run_id, l.job_no), b.detail
      from looked_at l
     cross join lateral (
             values
               ('a job has a spec', not l.has_spec, 'none'),
               (
                 'an open job is queued when all its parents have succeeded, and only then',
                 l.state = 'queued' and l.is_queued <> (l.parents_open = 0),
                 format('%s parents open', l.parents_open)
               ),
               (
                 'a job that has ended is not queued, but as a cancelled lease',
                 l.state <> 'queued' and l.is_queued and not (l.state = 'cancelled' and l.is_cancelled_lease),
                 l.state
               ),
               (
                 'an open job counts the parents that have not succeeded, or the slots that have any',
                 l.state = 'queued' and l.parents_left <> coalesce(l.open_slots, l.parents_open),
                 format('%s, not %s', l.parents_left, coalesce(l.open_slots, l.parents_open))
               ),
               (
                 'an open job has no parent that ended otherwise than in success',
                 l.state = 'queued' and l.parent_bad,
                 'it has'
               ),
               (
                 'a job is skipped for a parent that ended otherwise than in success',
                 l.state = 'skipped' and not l.parent_bad,
                 'it has none'
               ),
               (
                 'a job ran only after all its parents had succeeded',
                 l.state in ('success', 'failure') and l.parents_open > 0,
                 format('%s had not', l.parents_open)
               ),
               (
                 'a job has a finish when it has ended, and only then',
                 (l.state = 'queued') <> (l.finished_at is null),
                 l.state
               ),
               (
                 'a job that was reported knows its start and worker',
                 l.state in ('success', 'failure') and (l.started_at is null or l.worker_id is null),
                 l.state
               ),
               (
                 'only a failed job has an error',
                 l.error is not null and l.state <> 'failure',
                 l.state
               ),
               (
                 'only a successful job has outputs, and in one place',
                 (l.outputs is not null or l.has_big_outputs) and l.state <> 'success'
                   or l.outputs is not null and l.has_big_outputs,
                 l.state
               )
           ) b (invariant, is_broken, detail)
     where b.is_broken
    union all
    select 'a slot of a join counts the parents that have not succeeded',
           format('run %s job %s slot %s', l.run_id, l.job_no, l.slot),
           format('%s, not %s', l.parents_left, o.parents)
      from wfg.join_slots l
      join wfg.runs r on r.id = l.run_id
      join wfg.job_specs s on s.version_id = r.version_id and s.job_no = l.job_no
     cross join lateral (
             select count(*) as parents
               from unnest(s.parents) n (job_no)
               join wfg.jobs p on p.run_id = l.run_id and p.job_no = n.job_no
              where n.job_no % 16 = l.slot
                and p.state <> 'success'
           ) o
     where l.parents_left <> o.parents
       and exists (select from wfg.jobs j where j.run_id = l.run_id and j.job_no = l.job_no and j.state = 'queued')
    union all
    select 'an attempt is of a job, and before the one that ended it',
           format('run %s job %s attempt %s', a.run_id, a.job_no, a.attempt),
           coalesce(format('%s in attempt %s', j.state, j.attempt), 'no such job')
      from wfg.attempts a
      join wfg.runs r on r.id = a.run_id and (p_all or r.state = 'active')
      left join wfg.jobs j on j.run_id = a.run_id and j.job_no = a.job_no
     where j.run_id is null
        or j.state <> 'queued' and a.attempt > j.attempt
        or j.state in ('success', 'failure') and a.attempt = j.attempt
    union all
    select 'a job belongs to a run', format('run %s', j.run_id), format('%s jobs', count(*))
      from wfg.jobs j
     where p_all
       and not exists (select from wfg.runs r where r.id = j.run_id)
     group by j.run_id;
end;
$$;

comment on function wfg.broken_jobs(boolean) is 'The part of wfg_check about jobs, their counters, outputs and
attempts.';
create or replace function wfg.broken_queue_rows()
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    select b.invariant, format('queue row of run %s job %s', q.run_id, q.job_no), b.detail
      from wfg.queue q
      left join wfg.jobs j on j.run_id = q.run_id and j.job_no = q.job_no
      left join wfg.runs r on r.id = q.run_id
      left join wfg.job_specs s on s.version_id = r.version_id and s.job_no = q.job_no
     cross join lateral (
             values
               (
                 'a queue row is of an open job, or a cancelled lease of a cancelled one',
                 j.state is distinct from case when q.cancelled_at is null then 'queued' else 'cancelled' end,
                 coalesce(j.state, 'no such job')
               ),
               (
                 'a queue row has the version of its run and the lane of its job',
                 q.version_id is distinct from r.version_id or q.lane_id is distinct from s.lane_id,
                 format('version %s, lane %s', q.version_id, q.lane_id)
               ),
               (
                 'a lease has a worker, a start and an expiry, and what is not leased has none',
                 num_nulls(q.lease_nonce, q.worker_id, q.ttl_secs, q.leased_at, q.expires_at) not in (0, 5),
                 format('%s of 5 missing', num_nulls(q.lease_nonce, q.worker_id, q.ttl_secs, q.leased_at, q.expires_at))
               ),
               (
                 'a lease ends by its timeout',
                 q.expires_at > q.timeout_at
                   or (q.timeout_at is null) <> (s.timeout_secs is null or q.leased_at is null),
                 format('%s, %s', q.expires_at, q.timeout_at)
               ),
               (
                 'what is cancelled is a lease, of at most 60 seconds',
                 q.cancelled_at is not null
                   and (q.lease_nonce is null or q.expires_at > q.cancelled_at + interval '60 seconds'),
                 format('%s, %s', q.cancelled_at, q.expires_at)
               ),
               (
                 'a cancelled lease of the workflow door names its workflow and job, and nothing else does',
                 (q.cancelled_workflow_id, q.cancelled_job_id) is distinct from (
                   case when q.cancelled_at is not null and r.door = 'workflow' then r.workflow_id end,
                   case when q.cancelled_at is not null and r.door = 'workflow' then s.key end
                 ),
                 format('%s, %s', q.cancelled_workflow_id, q.cancelled_job_id)
               ),
               (
                 'what is held is of the workflow door, and not leased',
                 q.held_from is not null and (q.lease_nonce is not null or r.door <> 'workflow'),
                 q.held_from::text
               ),
               (
                 'lost leases are attempts, and within what the job allows',
                 q.lost > q.attempt or q.lost > s.lost_retries or q.attempt - q.lost > s.retries,
                 format('attempt %s, lost %s', q.attempt, q.lost)
               )
           ) b (invariant, is_broken, detail)
     where b.is_broken
    union all
    select 'a job of the workflow door is not ready while a cancelled lease of it lives',
           format('queue row of run %s job %s', q.run_id, q.job_no),
           format('ready at %s, lease until %s', q.ready_at, l.expires_at)
      from wfg.queue l
      join wfg.runs o on o.id = l.run_id
      join wfg.runs r on r.namespace = o.namespace
       and r.active_workflow_id = o.workflow_id
      join wfg.job_specs s on s.version_id = r.version_id and s.key = l.cancelled_job_id
      join wfg.queue q on q.run_id = r.id and q.job_no = s.job_no
     where l.cancelled_workflow_id is not null
       and l.run_id <> q.run_id
       and q.ready_at < l.expires_at
       and l.expires_at > wfg.now()
    union all
    select 'what is held is held by a cancelled lease', format('queue row of run %s job %s', q.run_id, q.job_no),
           format('held from %s to %s', q.held_from, q.ready_at)
      from wfg.queue q
      join wfg.runs r on r.id = q.run_id
      join wfg.job_specs s on s.version_id = r.version_id and s.job_no = q.job_no
     where q.held_from < q.ready_at
       and q.ready_at > wfg.now()
       and not exists (
             select
               from wfg.queue l
              where l.cancelled_workflow_id = r.workflow_id
                and l.cancelled_job_id = s.key
                and l.expires_at >= q.ready_at
           );
end;
$$;

comment on function wfg.broken_queue_rows() is 'The part of wfg_check about the queue: leases, cancelled
leases, what is held.';
create or replace function wfg.broken_runs(p_all boolean)
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    with counted as (
      select r.*, v.job_count,
             (select count(*) from wfg.jobs j where j.run_id = r.id) as jobs,
             (select count(*) from wfg.jobs j where j.run_id = r.id and j.state = 'queued') as open_jobs,
             (
               select count(*)
                 from wfg.jobs j
                where j.run_id = r.id
                  and j.state in ('failure', 'cancelled')
             ) as bad_jobs,
             (select count(*) from wfg.run_slots s where s.run_id = r.id) as slots,
             (select count(*) from wfg.run_slots s where s.run_id = r.id and s.open_left > 0) as open_slots
        from wfg.runs r
        join wfg.workflow_versions v on v.id = r.version_id
       where p_all
          or r.state = 'active'
    )
    select b.invariant, 'run ' || c.id, b.detail
      from counted c
     cross join lateral (
             values
               (
                 'a run has the jobs of its version',
                 c.jobs <> c.job_count,
                 format('%s of %s', c.jobs, c.job_count)
               ),
               (
                 'a run is active while a job of it is open, and no longer',
                 (c.state = 'active') <> (c.open_jobs > 0),
                 format('%s with %s open jobs', c.state, c.open_jobs)
               ),
               (
                 'a run has a finish when it has ended, and only then',
                 (c.finished_at is null) <> (c.state = 'active') or (c.open_left > 0) <> (c.state = 'active'),
                 format('%s, finished at %s, %s open', c.state, c.finished_at, c.open_left)
               ),
               (
                 'a run is started at one of the two doors, and holds that of the workflow while it is active',
                 c.door not in ('workflow', 'run')
                   or c.active_workflow_id is distinct from
                      case when c.door = 'workflow' and c.state = 'active' then c.workflow_id end,
                 format('door %s, holds %s', c.door, c.active_workflow_id)
               ),
               (
                 'a workflow names the latest run of its door, which has the greatest id',
                 c.door = 'workflow' and not exists (
                   select
                     from wfg.workflows w
                    where w.namespace = c.namespace
                      and w.id = c.workflow_id
                      and w.latest_run_id >= c.id
                 ),
                 c.workflow_id
               ),
               (
                 'a run with an idempotency key has the hash of its request',
                 (c.request_hash is null) <> (c.idempotency_key is null),
                 c.idempotency_key
               ),
               (
                 'a run that failed has a failed or cancelled job, and one that succeeded has none',
                 (c.state = 'success' and c.bad_jobs > 0) or (c.state = 'failure' and c.bad_jobs = 0),
                 format('%s with %s', c.state, c.bad_jobs)
               ),
               (
                 'a run counts its open jobs, or the slots that have any',
                 c.state = 'active'
                   and c.open_left <> case when wfg.is_wide(c.job_count) then c.open_slots else c.open_jobs end,
                 format('%s, not %s jobs in %s slots', c.open_left, c.open_jobs, c.open_slots)
               ),
               (
                 'an active wide run has 16 slots, and no other run has any',
                 c.slots <> case when c.state = 'active' and wfg.is_wide(c.job_count) then 16 else 0 end,
                 format('%s slots', c.slots)
               )
           ) b (invariant, is_broken, detail)
     where b.is_broken
    union all
    select 'a slot of a run counts its open jobs', format('run %s slot %s', s.run_id, s.slot),
           format('%s, not %s', s.open_left, o.jobs)
      from wfg.run_slots s
     cross join lateral (
             select count(*) as jobs
               from wfg.jobs j
              where j.run_id = s.run_id
                and j.job_no % 16 = s.slot
                and j.state = 'queued'
           ) o
     where s.open_left <> o.jobs
    union all
    select 'a slot belongs to a run', format('run %s', s.run_id), 'no such run'
      from (select run_id from wfg.run_slots union select run_id from wfg.join_slots) s
     where not exists (select from wfg.runs r where r.id = s.run_id);
end;
$$;

comment on function wfg.broken_runs(boolean) is 'The part of wfg_check about runs and their counters.';
create or replace function wfg.build_script(p_job json)
  returns text
  language plpgsql
  immutable
as $$
begin
  if p_job -> 'run' is not null then
    return E'set -e\n' || (p_job ->> 'run');
  end if;

  -- Each step is a subshell: its exports, cd and set end with it. Its text is evaluated from one quoted word, so
  -- an open heredoc or quote, a comment, a backslash or an & at its end cannot touch what follows, and a syntax
  -- error stops the job where it stands. The word begins with a newline: bash takes a leading - for an option.
  return E'set -e\n' || (
    select string_agg(
             format(
               E'(\n%sprintf \'%%s\\n\' %s\neval %s\n)\n',
               wfg.exports(wfg.env_object(s.step -> 'env')),
               wfg.quote_shell(
                 '=== ' || coalesce(s.step ->> 'name', s.step ->> 'id', 'step ' || s.no) || ' ==='
               ),
               wfg.quote_shell(E'\n' || (s.step ->> 'run'))
             ),
             ''
             order by s.no
           )
      from json_array_elements(p_job -> 'steps') with ordinality s (step, no)
  );
end;
$$;

comment on function wfg.build_script(json) is
$$What a job of a file runs, without the exports of its env: `set -e`, then the text of `run` or the steps.

Works in any POSIX shell. Stops at the first command that fails, with its exit code.$$;
create or replace function wfg.cancel_job(
  p_run_id uuid,
  p_job_no integer
)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_moves wfg.transition[] := wfg.cancellations(p_run_id, array[p_job_no]);
  v_now   timestamptz;
begin
  if v_moves is null then
    return true;
  end if;

  perform wfg.lock_narrow_jobs(v_moves);
  perform 1 from wfg.queue q where q.run_id = p_run_id and q.job_no = p_job_no for update;

  -- Who makes a wide job ready has its row locked: under that lock an unqueued one stays unqueued. One that was queued
  -- since we looked must have its queue row locked first: undo these locks, and look again.
  if v_moves[1].is_wide and not found then
    perform 1 from wfg.jobs j where j.run_id = p_run_id and j.job_no = p_job_no for update;

    if exists (select from wfg.queue q where q.run_id = p_run_id and q.job_no = p_job_no) then
      raise sqlstate 'WFG01';
    end if;
  end if;

  v_now := wfg.now();
  v_moves := wfg.cancellations(p_run_id, array[p_job_no]);
  perform wfg.settle(v_moves, v_now);
  perform wfg.cancel_leases(v_moves, v_now);

  return true;
exception
  when sqlstate 'WFG01' then
    return false;
end;
$$;

comment on function wfg.cancel_job(uuid, integer) is
'Cancel a job that has not ended, and skip what depends on it. False: it was queued in a race; nothing
happened, try again.';
create or replace function wfg.cancel_leases(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  delete from wfg.queue q
   using unnest(p_moves) m
   where q.run_id = m.run_id
     and q.job_no = m.job_no
     and m.lease_nonce is null;

  insert into wfg.attempts (
    run_id, job_no, attempt, outcome, worker_id, lease_nonce, started_at, finished_at
  )
  select m.run_id, m.job_no, m.attempt, 'cancelled', m.worker_id, m.lease_nonce, m.leased_at, p_now
    from unnest(p_moves) m
   where m.lease_nonce is not null;

  -- Only a worker of the workflow door asks `cancelled?` by ids that its next run shares.
  update wfg.queue q
     set cancelled_at          = p_now,
         expires_at            = least(q.expires_at, p_now + interval '60 seconds'),
         cancelled_workflow_id = case r.door when 'workflow' then r.workflow_id end,
         cancelled_job_id      = case r.door when 'workflow' then s.key end
    from unnest(p_moves) m
    join wfg.runs r on r.id = m.run_id
    join wfg.job_specs s on s.version_id = m.version_id and s.job_no = m.job_no
   where m.lease_nonce is not null
     and q.run_id = m.run_id
     and q.job_no = m.job_no;
end;
$$;

comment on function wfg.cancel_leases(wfg.transition[], timestamptz) is
$$Take cancelled jobs out of the queue. A leased one stays as a cancelled lease, for at most 60 seconds: it tells its
worker to stop, and holds back the same job of the next run.$$;
create or replace function wfg.cancel_run(
  p_run_id       uuid,
  p_cancelled_by text,
  p_reason       text
)
  returns text
  language plpgsql
  volatile
as $$
declare
  v_state text;
  v_now   timestamptz;
  v_moves wfg.transition[];
begin
  while not wfg.lock_run(p_run_id) loop
    null;
  end loop;

  select r.state into v_state from wfg.runs r where r.id = p_run_id;

  if v_state <> 'active' then
    return v_state;
  end if;

  v_now := wfg.now();
  v_moves := wfg.cancellations(p_run_id, null);
  perform wfg.end_jobs(v_moves, v_now);
  perform wfg.cancel_leases(v_moves, v_now);

  delete from wfg.run_slots s where s.run_id = p_run_id;
  delete from wfg.join_slots s where s.run_id = p_run_id;

  update wfg.runs r
     set state              = 'cancelled',
         open_left          = 0,
         finished_at        = v_now,
         active_workflow_id = null,
         cancelled_by       = p_cancelled_by,
         cancel_reason      = p_reason
   where r.id = p_run_id;

  perform wfg.announce('wfg_runs', 0);

  return 'cancelled';
end;
$$;

comment on function wfg.cancel_run(uuid, text, text) is
'Cancel all open jobs of a run, and with them the run. Answers its state: that of before, when it had ended.';
create or replace function wfg.cancellations(
  p_run_id  uuid,
  p_job_nos integer[]
)
  returns wfg.transition[]
  language plpgsql
  volatile
as $$
begin
  return (
    select array_agg(
             (
               null, 'cancelled', 'cancelled',
               j.run_id, j.job_no, s.version_id,
               s.is_wide, s.in_wide_run, s.narrow_children, s.wide_children,
               coalesce(q.attempt, 0), q.lost, s.lane_id, q.worker_id, q.leased_at, q.lease_nonce,
               null, null, null
             )::wfg.transition
             order by j.job_no
           )
      from wfg.jobs j
      join wfg.runs r on r.id = j.run_id
      join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no
      left join wfg.queue q on q.run_id = j.run_id and q.job_no = j.job_no
     where j.run_id = p_run_id
       and (p_job_nos is null or j.job_no = any (p_job_nos))
       and j.state = 'queued'
  );
end;
$$;

comment on function wfg.cancellations(uuid, integer[]) is
'The cancelling of those of these jobs (null: all of the run) that have not ended. Null when all have.';
create or replace function wfg.check_chunk_ids(
  p_chunks jsonb,
  p_lease  wfg.queue
)
  returns void
  language plpgsql
  stable
as $$
declare
  v_key text;
  v_run wfg.runs;
  v_ord bigint;
begin
  select s.key into v_key from wfg.job_specs s where s.version_id = p_lease.version_id and s.job_no = p_lease.job_no;
  select r.* into v_run from wfg.runs r where r.id = p_lease.run_id;

  select c.ord - 1
    into v_ord
    from jsonb_array_elements(p_chunks) with ordinality c (item, ord)
   where c.item ->> 'job_id' <> v_key
      or (
           c.item ->> 'workflow_id' <> v_run.id::text
           and (v_run.door <> 'workflow' or c.item ->> 'workflow_id' <> v_run.workflow_id)
         )
   order by c.ord
   limit 1;

  if v_ord is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format('p_chunks[%s]: workflow_id and job_id must be those of the lease', v_ord),
      hint    = 'Send the ids that the claim answered.';
  end if;
end;
$$;

comment on function wfg.check_chunk_ids(jsonb, wfg.queue) is
'Refuse chunks that name another job than that of the lease: 422 invalid_request.';
create or replace function wfg.check_chunks(p_chunks jsonb)
  returns void
  language plpgsql
  immutable
as $$
declare
  v_detail text;
begin
  if jsonb_typeof(p_chunks) is distinct from 'array' then
    v_detail := 'p_chunks: must be an array, not ' || coalesce(jsonb_typeof(p_chunks), 'null');
  elsif jsonb_array_length(p_chunks) > 10000 then
    v_detail := 'p_chunks: must be at most 10000 items';
  else
    select format('p_chunks[%s]', c.ord - 1) || p.problem
      into v_detail
      from jsonb_array_elements(p_chunks) with ordinality c (item, ord)
     cross join lateral (
             select case
                      when jsonb_typeof(c.item) <> 'object' then ': must be an object'
                      when jsonb_typeof(c.item -> 'workflow_id') is distinct from 'string' then
                        '.workflow_id: must be a string'
                      when jsonb_typeof(c.item -> 'job_id') is distinct from 'string' then
                        '.job_id: must be a string'
                      when not wfg.is_count(c.item -> 'sequence') then
                        '.sequence: must be a whole number from 0'
                      when jsonb_typeof(c.item -> 'data') is distinct from 'string' then
                        '.data: must be a string'
                      when not wfg.is_count(c.item -> 'timestamp_ms') then
                        '.timestamp_ms: must be epoch milliseconds'
                      when not coalesce(c.item -> 'stream' in ('"stdout"', '"stderr"'), false) then
                        '.stream: must be stdout or stderr'
                    end as problem
           ) p
     where p.problem is not null
     order by c.ord
     limit 1;
  end if;

  if v_detail is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = v_detail,
      hint    = 'A chunk is {"workflow_id","job_id","sequence","data","timestamp_ms","stream"}.';
  end if;
end;
$$;

comment on function wfg.check_chunks(jsonb) is
'Refuse malformed log chunks whole, naming the first bad one and its field: 422 invalid_request.';
create or replace function wfg.check_claim(
  p_worker_id text,
  p_limit     integer,
  p_ttl_secs  integer
)
  returns void
  language plpgsql
  immutable
as $$
begin
  if length(p_worker_id) between 1 and 200
     and p_limit between 1 and 1000
     and p_ttl_secs between 1 and 86400
  then
    return;
  end if;

  perform wfg.check_text('p_worker_id', p_worker_id, 200, false);
  perform wfg.check_range('p_limit', p_limit, 1, 1000);
  perform wfg.check_range('p_ttl_secs', p_ttl_secs, 1, 86400);
end;
$$;

comment on function wfg.check_claim(text, integer, integer) is
'Refuse the arguments of a claim that are missing or out of range: 422 invalid_request.';
create or replace function wfg.check_commands(
  p_definition jsonb,
  p_nodes      wfg.definition_node[]
)
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
begin
  if not exists (
       select
         from jsonb_array_elements(p_definition -> 'jobs') j (job)
        where octet_length(j.job ->> 'command') > 131071
     )
  then
    return;
  end if;

  -- A worker may run `sh -c command`, and Linux takes no argument of 128 KiB.
  return query
  select n.place, n.path,
         format('its command is %s bytes with the exports of its env and all quotes, 128 KiB are too many',
                octet_length(j.job ->> 'command')),
         'Put the script into a file, and run that.', false
    from jsonb_array_elements(p_definition -> 'jobs') with ordinality j (job, no)
    join unnest(p_nodes) n on n.level = 'jobs' and n.place[2] = j.no
   where octet_length(j.job ->> 'command') > 131071;
end;
$$;

comment on function wfg.check_commands(jsonb, wfg.definition_node[]) is
'Jobs of a normal form whose command could not be given to a shell. p_nodes: what it was made from.';
create or replace function wfg.check_given(
  p_field text,
  p_value text
)
  returns void
  language plpgsql
  immutable
as $$
begin
  if p_value is null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format('%s: is missing', p_field),
      hint    = 'The parameters are described in the comment of the function.';
  end if;
end;
$$;

comment on function wfg.check_given(text, text) is 'Refuse an argument that is null: 422 invalid_request.';
create or replace function wfg.check_inputs(p_nodes wfg.definition_node[])
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
declare
  v_nodes constant wfg.definition_node[] := array(select n from unnest(p_nodes) n where n.level = 'inputs');
begin
  return query
  with input as (
    select n.place, n.path, n.value -> 'default' as preset, wfg.json_type(n.value -> 'default') as preset_type,
           coalesce(n.value ->> 'type', 'string') as type, n.value -> 'options' as options,
           n.value ->> 'required' as required
      from unnest(v_nodes) n
     where n.type = 'object'
  )
  select i.place, i.path || '.default',
         format('does not match type: %s, found %s', i.type, wfg.describe_json(i.preset)),
         'Write a default of that type; quotes make a number text.', false
    from input i
   where i.preset_type in ('string', 'integer', 'number', 'boolean')
     and not case i.type
       when 'number' then i.preset_type in ('integer', 'number')
       when 'boolean' then i.preset_type = 'boolean'
       when 'string' then i.preset_type = 'string'
       when 'choice' then i.preset_type = 'string'
       else true
     end
  union all
  select i.place, i.path, 'an input of type choice needs options', 'Write options: [dev, prod].', false
    from input i
   where i.type = 'choice'
     and i.options is null
  union all
  select i.place, i.path || '.options', format('an input of type %s has no options', i.type),
         'Write type: choice.', false
    from input i
   where i.type in ('string', 'number', 'boolean')
     and i.options is not null
  union all
  select i.place, i.path || '.default', format('%s is not among the options', wfg.describe_json(i.preset)),
         'Write one of the options.', false
    from input i
   where i.type = 'choice'
     and i.preset_type = 'string'
     and json_typeof(i.options) = 'array'
     and not i.options::jsonb ? (i.preset #>> '{}')
  union all
  select i.place, i.path || '.options', format('%s stands %s times', to_json(wfg.shorten(o.option)), count(*)),
         'Keep one of them.', false
    from input i
   cross join lateral json_array_elements_text(
           case json_typeof(i.options) when 'array' then i.options end
         ) o (option)
   group by i.place, i.path, o.option
  having count(*) > 1
  union all
  select i.place, i.path || '.required', 'has no effect: the input has a default',
         'Leave out one of the two.', true
    from input i
   where i.required = 'true'
     and i.preset is not null;

  return query
  select max(n.place), (array_agg(n.path order by n.place desc))[1],
         format('the inputs %s become the same variable INPUT_%s',
                wfg.shorten(string_agg(n.key, ', ' order by n.place)), wfg.shorten(wfg.env_name(n.key))),
         'Rename all but one.', false
    from unnest(v_nodes) n
   group by wfg.env_name(n.key)
  having count(distinct n.key) > 1;
end;
$$;

comment on function wfg.check_inputs(wfg.definition_node[]) is
'Inputs whose default or options do not fit their type, and inputs that would become the same variable.';
create or replace function wfg.check_job_ids(p_ids text[])
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
begin
  return query
  select array[1, max(i.no)::integer], format('jobs[%s].id', max(i.no) - 1),
         format('%s is the id of %s jobs', to_json(wfg.shorten(i.id)), count(*)), 'Rename all but one.', false
    from unnest(p_ids) with ordinality i (id, no)
   where i.id is not null
   group by i.id
  having count(*) > 1;
end;
$$;

comment on function wfg.check_job_ids(text[]) is 'Ids that several jobs of a list have.';
create or replace function wfg.check_jobs(p_nodes wfg.definition_node[])
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
declare
  v_nodes constant wfg.definition_node[] := array(
    select n
      from unnest(p_nodes) n
     where n.level in ('jobs', 'job', 'step', 'listed_job')
        or n.members in ('backoff', 'exponential')
        or n.level = 'file' and n.key = 'env'
  );
begin
  -- What runs.
  return query
  with job as (
    select n.place, n.path, n.value -> 'run' as run, n.value -> 'steps' as steps
      from unnest(v_nodes) n
     where n.level = 'jobs'
       and n.type = 'object'
  )
  select j.place, j.path, 'has both run and steps', 'Make run one of the steps.', false
    from job j
   where j.run is not null
     and j.steps is not null
  union all
  select j.place, j.path, 'has neither run nor steps', 'Write run: make.', false
    from job j
   where j.run is null
     and (j.steps is null or json_typeof(j.steps) = 'array' and json_array_length(j.steps) = 0)
  union all
  select j.place, j.path || '.steps', format('must be at most 96 KiB of script, found %s bytes', s.bytes),
         'Put the script into a file, and run that.', false
    from job j
   cross join lateral (
     select sum(octet_length(e.step ->> 'run')) as bytes
       from json_array_elements(case json_typeof(j.steps) when 'array' then j.steps end) e (step)
      where json_typeof(e.step) = 'object'
   ) s
   where s.bytes > 98304;

  return query
  select n.place, n.path, 'is empty', 'Write what to run; `run: "true"` does nothing.', false
    from unnest(v_nodes) n
   where n.level in ('job', 'step')
     and n.key = 'run'
     and n.type = 'string'
     and (n.value #>> '{}') !~ '[^[:space:]]'
  union all
  select n.place, n.path, format('must be at most 96 KiB, found %s bytes', octet_length(n.value #>> '{}')),
         'Put the script into a file, and run that.', false
    from unnest(v_nodes) n
   where n.level in ('job', 'listed_job')
     and n.key in ('run', 'command')
     and case when n.type = 'string' then octet_length(n.value #>> '{}') > 98304 end;

  -- How it is repeated.
  return query
  select n.place, n.path, 'must be one of fixed and exponential',
         'Write {fixed: 5} or {exponential: {base: 2}}.', false
    from unnest(v_nodes) n
   where n.members = 'backoff'
     and (n.value -> 'fixed' is null) = (n.value -> 'exponential' is null)
  union all
  select n.place, n.path, 'max is less than base', 'Write a greater max; 3600 when it is left out.', false
    from unnest(v_nodes) n
   where n.members = 'exponential'
     and case
           when wfg.json_type(n.value -> 'base') = 'integer'
             and coalesce(wfg.json_type(n.value -> 'max'), 'integer') = 'integer'
             then (n.value ->> 'base')::numeric > coalesce((n.value ->> 'max')::numeric, 3600)
         end;

  -- A file's env is copied into every job.
  return query
  select n.place, n.path, format('%s jobs get a copy of it: that is more than 16 MiB', j.count),
         'Give each job what it needs in an env of its own.', false
    from unnest(v_nodes) n
   cross join (select count(*) as count from unnest(v_nodes) c where c.level = 'jobs') j
   where n.level = 'file'
     and n.key = 'env'
     and octet_length(n.value::text) * j.count > 16 * 1024 * 1024;
end;
$$;

comment on function wfg.check_jobs(wfg.definition_node[]) is
'Jobs and steps without anything to run, or with too much, and backoffs that say two things.';
create or replace function wfg.check_keys(
  p_nodes   wfg.definition_node[],
  p_lenient boolean
)
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
begin
  -- Unknown and refused keys. `if` is refused in any case: a job must not run because its condition was ignored.
  return query
  select n.place,
         n.path,
         case
           when k.hint is null and k.key is not null then format('%s is not supported yet', n.key)
           when n.key = 'if' then 'if is not supported yet'
           else format('unknown key %s', to_json(wfg.shorten(n.key)))
         end,
         case
           when k.key is not null then coalesce(k.hint, 'Take the key out.')
           else wfg.key_hint(n.level, n.key)
         end,
         p_lenient and n.key <> 'if'
    from unnest(p_nodes) n
    left join wfg.known_keys() k on k.level = n.level and k.key = n.key
   where n.key is not null
     and n.level not in ('inputs', 'jobs', 'env')
     and coalesce(k.types, '{}') = '{}'
   order by n.place
   limit 200;

  -- Keys met twice: json keeps them all, a reader would keep one.
  return query
  select max(n.place),
         n.path,
         format('the key %s stands %s times', to_json(wfg.shorten(n.key)), count(*)),
         'Keep one of them.',
         false
    from unnest(p_nodes) n
   where n.key is not null
   group by n.place[: cardinality(n.place) - 1], n.path, n.key
  having count(*) > 1;

  return query
  select n.place, n.path, format('%s is missing', k.key), k.hint, false
    from unnest(p_nodes) n
    join wfg.known_keys() k on k.level = n.members and k.required
   where n.type = 'object'
     and n.value -> k.key is null;
end;
$$;

comment on function wfg.check_keys(wfg.definition_node[], boolean) is
'Keys of a definition that are unknown (lenient: a warning), not supported, met twice, or missing.';
create or replace function wfg.check_known_worker(p_worker_id text)
  returns void
  language plpgsql
  stable
as $$
begin
  if not exists (select from wfg.workers w where w.namespace = wfg.namespace() and w.id = p_worker_id) then
    raise sqlstate 'PT404' using
      message = 'worker_not_found',
      detail  = format('There is no worker %s.', coalesce(to_json(left(p_worker_id, 200))::text, 'null')),
      hint    = 'Register it.';
  end if;
end;
$$;

comment on function wfg.check_known_worker(text) is 'Refuse an unknown worker: 404 worker_not_found.';
create or replace function wfg.check_labels(p_labels jsonb)
  returns text[]
  language plpgsql
  immutable
as $$
declare
  v_labels text[];
begin
  if p_labels = '[]' then
    return '{}'::text[];
  end if;

  if jsonb_typeof(p_labels) is distinct from 'array' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format(
        'p_labels: must be an array of labels, not %s',
        coalesce(jsonb_typeof(p_labels), 'null')
      ),
      hint    = 'Send [] for a worker without labels.';
  end if;

  if jsonb_path_exists(p_labels, 'strict $[*] ? (@.type() != "string")') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_labels: every label must be a string',
      hint    = 'Quote the labels.';
  end if;

  v_labels := array(select l.label from jsonb_array_elements_text(p_labels) l (label));

  if cardinality(v_labels) > 100 or exists (select from unnest(v_labels) l (label) where length(l.label) > 200) then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_labels: must be at most 100 labels of at most 200 characters',
      hint    = 'A worker needs the labels that its jobs require, no more.';
  end if;

  return v_labels;
end;
$$;

comment on function wfg.check_labels(jsonb) is
'A worker''s labels, as sent. Errors: 422 invalid_request.';
create or replace function wfg.check_lease(
  p_lease wfg.queue,
  p_now   timestamptz
)
  returns void
  language plpgsql
  stable
as $$
begin
  if p_lease.run_id is null or p_lease.expires_at <= p_now then
    perform wfg.refuse_lease(
      'lease_not_held',
      (select j.state from wfg.jobs j where j.run_id = p_lease.run_id and j.job_no = p_lease.job_no)
    );
  end if;
end;
$$;

comment on function wfg.check_lease(wfg.queue, timestamptz) is
'Refuse a lease, read by wfg.lock_lease, that is unknown or over: 409 lease_not_held. A cancelled one passes.';
create or replace function wfg.check_need_names(
  p_needs wfg.definition_need[],
  p_keys  text[]
)
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
declare
  v_shared constant text[] := array(
    select wfg.env_name(k.key)
      from unnest(p_keys) k (key)
     group by 1
    having count(distinct k.key) > 1
  );
begin
  if v_shared = '{}' then
    return;
  end if;

  return query
  select max(n.place), (array_agg(n.path order by n.place desc))[1],
         format('the outputs of %s become the same variables OUTPUT_%s_…',
                wfg.shorten(string_agg(distinct n.name, ', ')), wfg.shorten(e.name)),
         'Rename all but one of these jobs.', false
    from unnest(p_needs) n
   cross join lateral wfg.env_name(n.name) e (name)
   where e.name = any (v_shared)
   group by n.child, e.name
  having count(distinct n.name) > 1;
end;
$$;

comment on function wfg.check_need_names(wfg.definition_need[], text[]) is
'Dependencies of one job whose outputs would become the same variables. p_keys: of all jobs.';
create or replace function wfg.check_needs(
  p_needs wfg.definition_need[],
  p_keys  text[]
)
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
declare
  v_children integer[];
  v_parents  integer[];
begin
  return query
  select n.place, n.path, format('there is no job %s', to_json(wfg.shorten(n.name))),
         wfg.need_hint(n.name, p_keys), false
    from unnest(p_needs) n
   where n.parent is null
   order by n.place
   limit 100;

  return query
  select n.place, n.path, 'a job cannot need itself', 'Take it out.', false
    from unnest(p_needs) n
   where n.child = n.parent;

  return query
  select max(n.place), (array_agg(n.path order by n.place desc))[1],
         format('%s stands %s times', to_json(wfg.shorten(n.name)), count(*)), 'Keep one of them.', false
    from unnest(p_needs) n
   group by n.child, n.name
  having count(*) > 1;

  select array_agg(e.child order by e.child, e.parent), array_agg(e.parent order by e.child, e.parent)
    into v_children, v_parents
    from unnest(p_needs) e
   where e.child <> e.parent;

  return query
  select n.place, n.path, format('the needs form a cycle: %s', wfg.describe_cycle(c.jobs, p_keys)),
         'Take one of these needs out.', false
    from wfg.sort_jobs(cardinality(p_keys), v_children, v_parents) s
   cross join lateral jsonb_array_elements(s.cycles) c (jobs)
   cross join lateral (
     select e.place, e.path
       from unnest(p_needs) e
      where e.child = (c.jobs -> 0)::integer
        and e.parent = (c.jobs -> 1)::integer
      limit 1
   ) n;
end;
$$;

comment on function wfg.check_needs(wfg.definition_need[], text[]) is
'Dependencies that are unknown, on the job itself, met twice, or form a cycle.';
create or replace function wfg.check_no_run_yet(p_id text)
  returns void
  language plpgsql
  stable
as $$
begin
  if wfg.is_run_id(p_id) then
    raise sqlstate 'PT404' using
      message = 'run_not_found',
      detail  = format('There is no run %s.', p_id),
      hint    = 'It may have been pruned.';
  end if;

  perform wfg.current_version(p_id);
end;
$$;

comment on function wfg.check_no_run_yet(text) is
'For an id that wfg.resolve_run found no run for: passes if it is a workflow without a run of its door, else
raises the 404.';
create or replace function wfg.check_outputs(
  p_field   text,
  p_outputs jsonb
)
  returns void
  language plpgsql
  immutable
as $$
declare
  v_problem text;
begin
  if p_outputs = '{}' then
    return;
  end if;

  v_problem := case
    when jsonb_typeof(p_outputs) is distinct from 'object' then
      ': must be an object, not ' || coalesce(jsonb_typeof(p_outputs), 'null')
    when octet_length(p_outputs::text) > 1048576 then
      ': must be at most 1048576 bytes'
    else (
      select '.' || wfg.shorten(o.key) || ': must be a string, not ' || jsonb_typeof(o.value)
        from jsonb_each(p_outputs) o
       where jsonb_typeof(o.value) <> 'string'
       limit 1
    )
  end;

  if v_problem is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = p_field || v_problem,
      hint    = 'Outputs are names and texts: {"coverage":"94%"}.';
  end if;
end;
$$;

comment on function wfg.check_outputs(text, jsonb) is
'Refuse outputs that are not an object of strings, or over 1 MiB: 422 invalid_request.';
create or replace function wfg.check_range(
  p_field text,
  p_value bigint,
  p_min   bigint,
  p_max   bigint
)
  returns void
  language plpgsql
  immutable
as $$
begin
  if p_value is null or p_value not between p_min and p_max then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format('%s: must be from %s to %s, not %s', p_field, p_min, p_max, coalesce(p_value::text, 'null')),
      hint    = 'The parameters are described in the comment of the function.';
  end if;
end;
$$;

comment on function wfg.check_range(text, bigint, bigint, bigint) is
'Refuse a number that is missing or out of range: 422 invalid_request.';
create or replace function wfg.check_reports(p_reports jsonb)
  returns void
  language plpgsql
  immutable
as $$
declare
  v_detail text;
  v_item   jsonb;
  v_place  integer;
begin
  if jsonb_typeof(p_reports) is distinct from 'array' then
    v_detail := 'p_reports: must be an array, not ' || coalesce(jsonb_typeof(p_reports), 'null');
  elsif jsonb_array_length(p_reports) > 10000 then
    v_detail := 'p_reports: must be at most 10000 items';
  else
    select format('p_reports[%s]', r.ord - 1) || p.problem
      into v_detail
      from jsonb_array_elements(p_reports) with ordinality r (item, ord)
     cross join lateral (
             select case
                      when jsonb_typeof(r.item) <> 'object' then ': must be an object'
                      when jsonb_typeof(r.item -> 'lease_id') is distinct from 'string' then
                        '.lease_id: must be a string'
                      when not coalesce(r.item -> 'outcome' in ('"success"', '"failure"'), false) then
                        '.outcome: must be success or failure'
                      when jsonb_typeof(r.item -> 'error') not in ('string', 'null') then
                        '.error: must be a string'
                      when r.item -> 'outcome' = '"failure"' and (r.item ->> 'error') is null then
                        '.error: is required with a failure'
                      when jsonb_typeof(r.item -> 'retryable') not in ('boolean', 'null') then
                        '.retryable: must be true or false'
                    end as problem
           ) p
     where p.problem is not null
     order by r.ord
     limit 1;
  end if;

  if v_detail is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = v_detail,
      hint    = 'An item is {"lease_id","outcome":"success|failure","outputs","error","retryable"}.';
  end if;

  for v_item, v_place in
    select r.item, r.ord - 1
      from jsonb_array_elements(p_reports) with ordinality r (item, ord)
     where r.item ? 'outputs'
       and r.item -> 'outputs' not in ('{}', 'null')
  loop
    perform wfg.check_outputs(format('p_reports[%s].outputs', v_place), v_item -> 'outputs');
  end loop;
end;
$$;

comment on function wfg.check_reports(jsonb) is
'Refuse a malformed batch of reports whole, naming the first bad item and field: 422 invalid_request.';
create or replace function wfg.check_run_items(p_runs jsonb)
  returns void
  language plpgsql
  immutable
as $$
declare
  v_detail text;
begin
  if jsonb_typeof(p_runs) is distinct from 'array' then
    v_detail := 'p_runs: must be an array, not ' || coalesce(jsonb_typeof(p_runs), 'null');
  elsif jsonb_array_length(p_runs) > 10000 then
    v_detail := 'p_runs: must be at most 10000 items';
  else
    select format('p_runs[%s]', r.ord - 1) || p.problem
      into v_detail
      from jsonb_array_elements(p_runs) with ordinality r (item, ord)
     cross join lateral (
             select case
                      when r.item = '{}' then null
                      when jsonb_typeof(r.item) <> 'object' then ': must be an object'
                      when r.item - '{inputs,idempotency_key,start_at_ms}'::text[] <> '{}' then
                        '.' || wfg.shorten((select k.key from jsonb_object_keys(r.item) k (key)
                                             where k.key not in ('inputs', 'idempotency_key', 'start_at_ms')
                                             order by 1 limit 1)) || ': is not known'
                      when jsonb_typeof(r.item -> 'inputs') not in ('object', 'null') then
                        '.inputs: must be an object of input names and values'
                      when jsonb_typeof(r.item -> 'idempotency_key') not in ('string', 'null')
                        or length(r.item ->> 'idempotency_key') not between 1 and 200
                      then '.idempotency_key: must be 1 to 200 characters'
                      when jsonb_typeof(r.item -> 'start_at_ms') not in ('number', 'null') then
                        '.start_at_ms: must be a number, epoch milliseconds'
                      when jsonb_typeof(r.item -> 'start_at_ms') = 'number'
                       and not (wfg.is_count(r.item -> 'start_at_ms') and r.item -> 'start_at_ms' <= '253402300799999')
                      then '.start_at_ms: must be a whole number from 0 to 253402300799999'
                    end as problem
           ) p
     where p.problem is not null
     order by r.ord
     limit 1;
  end if;

  if v_detail is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = v_detail,
      hint    = 'An item is {"inputs","idempotency_key","start_at_ms"}, all optional.';
  end if;
end;
$$;

comment on function wfg.check_run_items(jsonb) is
'Refuse a malformed batch of starts whole, naming the first bad item and field: 422 invalid_request.';
create or replace function wfg.check_text(
  p_field      text,
  p_value      text,
  p_max_length integer,
  p_optional   boolean
)
  returns void
  language plpgsql
  immutable
as $$
begin
  if p_value is null and p_optional then
    return;
  end if;

  if p_value is null or p_value = '' or length(p_value) > p_max_length then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format('%s: must be 1 to %s characters', p_field, p_max_length)
                || case when p_value is null then ', not null' else '' end,
      hint    = 'The parameters are described in the comment of the function.';
  end if;
end;
$$;

comment on function wfg.check_text(text, text, integer, boolean) is
'Refuse a text argument that is missing, empty or too long: 422 invalid_request.';
create or replace function wfg.check_values(p_nodes wfg.definition_node[])
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
begin
  -- Types and limits, as wfg.known_keys() has them.
  return query
  select n.place, n.path, f.message, k.hint, false
    from unnest(p_nodes) n
    join wfg.known_keys() k
      on k.level = n.level
     and k.key = case when n.key is null or n.level in ('inputs', 'jobs', 'env') then '*' else n.key end
   cross join lateral (
     select case
         when k.most is null then null
         when n.type in ('integer', 'number') then (n.value::text)::numeric
         when n.type = 'string' then length(n.value #>> '{}')
         else wfg.json_size(n.value)
       end as size
     offset 0                                  -- or it would be computed in each place where it is used
   ) m
   cross join lateral (
     select case
         when n.type <> all (k.types) then
           format('must be %s, found %s', wfg.describe_types(k.types), wfg.describe_json(n.value))
         when n.type = 'string' and k.choices is not null and (n.value #>> '{}') <> all (k.choices) then
           format('must be %s, found %s', array_to_string(k.choices, ' or '), wfg.describe_json(n.value))
         when m.size not between k.least and k.most then
           case
             when n.type = 'string' then format('must be %s to %s characters, found %s', k.least, k.most, m.size)
             when n.type in ('array', 'object') then
               format('must have %s to %s members, found %s', k.least, k.most, m.size)
             else format('must be from %s to %s, found %s', k.least, k.most, wfg.shorten(n.value::text))
           end
       end as message
   ) f
   where k.types <> '{}'
     and f.message is not null;

  -- Names and values of the user's own.
  return query
  select n.place, n.path, f.message, f.hint, false
    from unnest(p_nodes) n
   cross join lateral (
     select format('its name must be 1 to 200 characters, found %s', length(n.key)) as message,
            'Shorten it; a job may have a long name beside its key.' as hint
      where length(n.key) not between 1 and 200
     union all
     select format('%s cannot be the name of an environment variable', to_json(wfg.shorten(n.key))),
            'Write letters, digits and _, not beginning with a digit: MY_NAME.'
      where n.level = 'env'
        and n.key !~ '^[A-Za-z_][A-Za-z0-9_]*$'
     union all
     select format('must be at most 32 KiB, found %s bytes', octet_length(n.value #>> '{}')),
            'Let the script read it from a file.'
      where n.level = 'env'
        and n.type = 'string'
        and octet_length(n.value #>> '{}') > 32768
   ) f
   where n.level in ('inputs', 'jobs', 'env');
end;
$$;

comment on function wfg.check_values(wfg.definition_node[]) is
'Values of a definition that have the wrong type or are out of their limits, and names that are.';
create or replace function wfg.check_workflow_id(p_workflow_id text)
  returns void
  language plpgsql
  immutable
as $$
begin
  if p_workflow_id is null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_workflow_id: is missing, and the file has no name',
      hint    = 'Pass an id, or write name: my-workflow.';
  end if;

  perform wfg.check_text('p_workflow_id', p_workflow_id, 200, false);

  if wfg.is_run_id(lower(p_workflow_id)) then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_workflow_id: must not have the form of a UUID version 7',
      hint    = 'Those are run ids. Choose another.';
  end if;
end;
$$;

comment on function wfg.check_workflow_id(text) is
'Refuse what cannot be the id of a new workflow: 422 invalid_request.';
create or replace function wfg.claim(
  p_worker_id text,
  p_labels    jsonb,
  p_limit     integer,
  p_ttl_secs  integer
)
  returns text[]
  language plpgsql
  volatile
as $$
declare
  v_now     constant timestamptz := wfg.now();
  v_labels  constant text[] := wfg.check_labels(p_labels);
  v_claimer          wfg.claimer := wfg.claimer(p_worker_id, v_labels);
  v_lanes            wfg.lane_head[];
  v_claims           text[];
  v_is_empty         boolean := false;
begin
  perform wfg.check_claim(p_worker_id, p_limit, p_ttl_secs);

  -- Before upkeep, which locks rows: adding a label set may wait.
  if v_claimer.lane_ids is null or v_claimer.used_at < v_now - interval '1 hour' then
    perform wfg.label_set(v_labels, v_now);
    v_claimer := wfg.claimer(p_worker_id, v_labels);
  end if;

  if wfg.upkeep_if_due(v_now) then
    v_claimer := wfg.claimer(p_worker_id, v_labels);   -- it may have lowered marks
  end if;

  v_lanes := wfg.lanes_of(v_claimer, v_labels);

  -- One job of one lane: half the time of the general way.
  if p_limit = 1 and cardinality(v_lanes) = 1 then
    v_claims := wfg.lease_first(v_lanes[1], p_worker_id, p_ttl_secs, v_now);
    v_is_empty := v_claims is null and pg_current_xact_id_if_assigned() is null;   -- a lock would have assigned one
  end if;

  if v_claims is null and not v_is_empty then
    v_claims := wfg.pick(v_lanes, p_limit, p_worker_id, p_ttl_secs, v_now);
  end if;

  if v_claims is null then
    -- Nothing above the marks: look below them, once a second. If there was something, the next ones look there too.
    v_lanes := wfg.lanes_from_bottom(v_lanes, v_now);

    if v_lanes is not null then
      v_claims := wfg.pick(v_lanes, p_limit, p_worker_id, p_ttl_secs, v_now);
      perform wfg.reset_marks(
        v_lanes,
        case when v_claims is null then v_now - interval '0.5 seconds' else '-infinity' end,
        v_now
      );
    end if;
  else
    perform wfg.refresh_marks(v_lanes, v_now);
  end if;

  if v_claimer.last_seen_at >= v_now - interval '5 seconds' and v_claimer.labels = v_labels then
    return v_claims;
  end if;

  perform wfg.touch_worker(p_worker_id, v_labels, v_now);

  return v_claims;
end;
$$;

comment on function wfg.claim(text, jsonb, integer, integer) is
$$Lease up to p_limit ready jobs that a worker with these labels may take: highest priority first, then longest ready.

The worker's label set gives its lanes; each lane is a range of queue_ready. So the cost does not depend on the jobs of
other lanes, on delayed ones, or on history. It waits for no lock. Answers claims (sql/README.md), null when nothing.$$;
create or replace function wfg.claim_json(p_lease wfg.granted_lease)
  returns text
  language plpgsql
  volatile
as $$
declare
  v_key      constant text := to_json(p_lease.key)::text;
  v_shown_id constant text := case p_lease.door
    when 'workflow' then to_json(p_lease.workflow_id)::text
    else '"' || p_lease.run_id || '"'
  end;
  v_command           text := p_lease.claim_command;
  v_upstream          text := '"upstream_outputs":{},"upstream_omitted":[]';
begin
  if p_lease.parents <> '{}' or p_lease.inputs <> '{}' then
    select h.command, h.upstream
      into v_command, v_upstream
      from wfg.handed_on(p_lease) h;
  end if;

  -- Put together as text: json_build_object looks the type of each of its arguments up again, each time.
  return '{"job":{' || p_lease.claim_fixed
    || ',"workflow_id":' || v_shown_id
    || ',"run_id":"' || p_lease.run_id
    || '",' || v_command
    || ',"inputs":' || p_lease.inputs
    || ',' || v_upstream
    || ',"attempt":' || p_lease.attempt
    || ',"enqueued_at_ms":' || floor(extract(epoch from p_lease.enqueued_at) * 1000)
    || ',"delayed_until_ms":' || case
         when p_lease.ready_at > p_lease.enqueued_at then floor(extract(epoch from p_lease.ready_at) * 1000)
         else 0
       end
    || '},"lease":{"lease_id":"' || wfg.lease_id(p_lease.run_id, p_lease.job_no, p_lease.lease_nonce)
    || '","job_id":' || v_key
    || ',"workflow_id":' || v_shown_id
    || ',"run_id":"' || p_lease.run_id
    || '","worker_id":' || to_json(p_lease.worker_id)
    || ',"ttl_secs":' || p_lease.ttl_secs
    || ',"granted_at_ms":' || floor(extract(epoch from p_lease.leased_at) * 1000)
    || ',"expires_at_ms":' || floor(extract(epoch from p_lease.expires_at) * 1000)
    || '}}';
end;
$$;

comment on function wfg.claim_json(wfg.granted_lease) is
'What a worker is handed for a lease: the job with everything it needs, and the lease (sql/README.md, Claim). JSON,
as text.';
create or replace function wfg.claimer(
  p_worker_id text,
  p_labels    text[]
)
  returns wfg.claimer
  language plpgsql
  volatile
as $$
declare
  v_labels constant text[] := wfg.sorted_labels(p_labels);
  v_claimer         wfg.claimer;
begin
  select s.lane_ids, s.priorities, s.used_at,
         m.low_water_at, m.scanned_at, m.refreshed_at,
         w.labels, w.last_seen_at
    into v_claimer
    from wfg.label_sets s
    left join wfg.lane_marks m on m.lane_id = s.lane_ids[1]
    left join wfg.workers w on w.namespace = s.namespace and w.id = p_worker_id
   where s.namespace = wfg.namespace()
     and s.labels = v_labels;

  return v_claimer;
end;
$$;

comment on function wfg.claimer(text, text[]) is
'What is known of a worker with these labels, read at once: a null row when its label set is new.';
create or replace function wfg.complete_one(p_item wfg.report_item)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_is_big constant boolean := octet_length(p_item.outputs::text) > 1024;
  v_plan            wfg.completion;
  v_expires_at      timestamptz;
  v_now             timestamptz;
  v_left            integer;
  v_ready           integer[];
  v_run             text := 'running';
begin
  -- What is read here without a lock can only turn out to be over: see wfg.report.
  select q.version_id, q.attempt, q.worker_id, q.leased_at, s.in_wide_run, s.narrow_children, s.wide_children[1]
    into v_plan
    from wfg.queue q
    join wfg.job_specs s on s.version_id = q.version_id and s.job_no = q.job_no
   where q.run_id = p_item.run_id
     and q.job_no = p_item.job_no
     and q.lease_nonce is not distinct from p_item.lease_nonce
     and not s.is_wide
     and cardinality(s.wide_children) <= 1;

  if not found
     or (v_plan.narrow_children <> '{}' or v_plan.wide_child is not null) and wfg.any_cancelled_lease()
  then
    return null;
  end if;

  -- The locks, in their order: narrow jobs, lease, join slot, wide job, run slot, run. Nothing is written before the
  -- lease is known to be ours; an expired one raises, which undoes its deletion.
  if v_plan.narrow_children = '{}' then
    perform 1 from wfg.jobs j where j.run_id = p_item.run_id and j.job_no = p_item.job_no for update;
  else
    -- offset 0: else the join may begin with all jobs of the run.
    perform 1
       from (
              select p_item.run_id as run_id, unnest(p_item.job_no || v_plan.narrow_children) as job_no offset 0
            ) k
       join wfg.jobs j on j.run_id = k.run_id and j.job_no = k.job_no
      order by j.job_no
        for update of j;
  end if;

  delete from wfg.queue q
   where q.run_id = p_item.run_id
     and q.job_no = p_item.job_no
     and q.lease_nonce is not distinct from p_item.lease_nonce
     and q.cancelled_at is null
  returning q.expires_at
       into v_expires_at;

  if not found then
    return null;
  end if;

  v_now := wfg.now();

  if v_expires_at <= v_now then
    perform wfg.refuse_lease('lease_not_held', 'running');
  end if;

  update wfg.jobs j
     set state       = 'success',
         started_at  = v_plan.leased_at,
         finished_at = v_now,
         attempt     = v_plan.attempt,
         lease_nonce = p_item.lease_nonce,
         worker_id   = v_plan.worker_id,
         outputs     = case when not v_is_big then nullif(p_item.outputs, '{}') end
   where j.run_id = p_item.run_id
     and j.job_no = p_item.job_no
     and j.state = 'queued';

  if v_is_big then
    insert into wfg.outputs (run_id, job_no, outputs) values (p_item.run_id, p_item.job_no, p_item.outputs);
  end if;

  if v_plan.narrow_children <> '{}' then
    with counted as (
      update wfg.jobs j
         set parents_left = j.parents_left - 1
        from (select p_item.run_id as run_id, unnest(v_plan.narrow_children) as job_no offset 0) k
       where j.run_id = k.run_id
         and j.job_no = k.job_no
         and j.state = 'queued'
      returning j.job_no, j.parents_left
    )
    select array_agg(c.job_no)
      into v_ready
      from counted c
     where c.parents_left = 0;
  end if;

  if v_plan.wide_child is not null
     and wfg.count_down_join(p_item.run_id, p_item.job_no, v_plan.wide_child)
  then
    v_ready := v_ready || v_plan.wide_child;
  end if;

  if v_ready is not null then
    perform wfg.enqueue_in_run(p_item.run_id, v_plan.version_id, v_ready, v_now);
  end if;

  if v_plan.in_wide_run then
    update wfg.run_slots s
       set open_left = s.open_left - 1
     where s.run_id = p_item.run_id
       and s.slot = p_item.job_no % 16
    returning s.open_left
         into v_left;
  end if;

  if v_left > 0 is not true then
    v_run := wfg.count_down_run(p_item.run_id, 1, v_now);

    if v_plan.in_wide_run and v_run <> 'running' then
      perform wfg.drop_slots(array[(p_item.run_id, null, 1)::wfg.job_delta]);
    end if;
  end if;

  -- Its claim said that the worker lives, if that was just now.
  if v_plan.leased_at < v_now - interval '5 seconds' then
    perform wfg.touch_worker(v_plan.worker_id, null, v_now);
  end if;

  return json_build_object('job', 'success', 'run', v_run);
end;
$$;

comment on function wfg.complete_one(wfg.report_item) is
$$Complete one lease: what wfg.report does for a success of a job that is not wide and has at most one wide child, in
half the time, key by key. tests/test_one_or_many.py holds the two to the same result.

Answers {"job","run"}, or raises the 409 of an expired lease. Null, and nothing is done, when it is another case or the
lease does not hold: wfg.report is for those.$$;
create or replace function wfg.confirm_reports(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns wfg.transition[]
  language plpgsql
  volatile
as $$
begin
  -- Under the lock. A lease that was cancelled takes fail and release as its acknowledgement, and refuses success.
  return (
    select array_agg(
             case when q.cancelled_at is null then m else wfg.acknowledgement(m) end
             order by m.run_id, m.job_no
           )
      from unnest(p_moves) m
      join wfg.queue q
        on q.run_id = m.run_id
       and q.job_no = m.job_no
       and q.lease_nonce is not distinct from m.lease_nonce
     where q.expires_at > p_now
       and (q.cancelled_at is null or m.move <> 'success')
  );
end;
$$;

comment on function wfg.confirm_reports(wfg.transition[], timestamptz) is
'Those of the planned moves whose lease holds at p_now, now that it is locked. Null when none does.';
create or replace function wfg.convert_input(
  p_input jsonb,
  p_value jsonb
)
  returns jsonb
  language plpgsql
  immutable
as $$
declare
  v_text constant text := p_value #>> '{}';
begin
  -- Numbers and booleans may come as text: a command line has nothing else.
  return case p_input ->> 'type'
    when 'string' then
      case when jsonb_typeof(p_value) = 'string' then p_value end
    when 'number' then
      case
        when jsonb_typeof(p_value) = 'number' then p_value
        when jsonb_typeof(p_value) = 'string'
          and v_text ~ '^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$'
          then to_jsonb(v_text::numeric)
      end
    when 'boolean' then
      case
        when jsonb_typeof(p_value) = 'boolean' then p_value
        when jsonb_typeof(p_value) = 'string' and v_text in ('true', 'false') then to_jsonb(v_text::boolean)
      end
    when 'choice' then
      case when p_input -> 'options' @> jsonb_build_array(p_value) then p_value end
  end;
end;
$$;

comment on function wfg.convert_input(jsonb, jsonb) is
'An input''s value in its declared type; null when it cannot be. p_input: an element of the definition''s inputs.';
create or replace function wfg.count_down_and_end_runs(
  p_deltas wfg.job_delta[],
  p_now    timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_any_ended boolean;
begin
  if cardinality(p_deltas) = 1 then
    perform wfg.count_down_run(p_deltas[1].run_id, p_deltas[1].delta, p_now);

    return;
  end if;

  perform 1
     from unnest(p_deltas) d
     join wfg.runs r on r.id = d.run_id
    order by r.id
      for no key update of r;

  -- A new statement, and so a new snapshot: it sees the jobs of whoever held these locks before. The outcome is that of
  -- wfg.run_outcome, whose call would be a statement for each run.
  with counted as (
    update wfg.runs r
       set open_left          = r.open_left - d.delta,
           state              = case
             when r.open_left > d.delta then r.state
             when exists (
                  select
                    from wfg.jobs j
                   where j.run_id = r.id
                     and j.state in ('failure', 'cancelled')
                )
             then 'failure'
             else 'success'
           end,
           finished_at        = case when r.open_left <= d.delta then p_now end,
           active_workflow_id = case when r.open_left > d.delta then r.active_workflow_id end
      from unnest(p_deltas) d
     where r.id = d.run_id
    returning r.state
  )
  select bool_or(c.state <> 'active') into v_any_ended from counted c;

  if v_any_ended then
    perform wfg.announce('wfg_runs', 0);
  end if;
end;
$$;

comment on function wfg.count_down_and_end_runs(wfg.job_delta[], timestamptz) is
'Lock these runs in id order, count each down by its delta, and end those that reach zero.';
create or replace function wfg.count_down_join(
  p_run_id uuid,
  p_parent integer,
  p_job_no integer
)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_left integer;
begin
  update wfg.join_slots s
     set parents_left = s.parents_left - 1
   where s.run_id = p_run_id
     and s.job_no = p_job_no
     and s.slot = p_parent % 16
  returning s.parents_left
       into v_left;

  if v_left > 0 is not false then
    return false;
  end if;

  update wfg.jobs j
     set parents_left = j.parents_left - 1
   where j.run_id = p_run_id
     and j.job_no = p_job_no
     and j.state = 'queued'
  returning j.parents_left
       into v_left;

  return found and v_left = 0;
end;
$$;

comment on function wfg.count_down_join(uuid, integer, integer) is
'Take one success off the slot of a wide child, and an emptied slot off the child. Whether it is ready now.';
create or replace function wfg.count_down_joins(p_moves wfg.transition[])
  returns wfg.job_delta[]
  language plpgsql
  volatile
as $$
declare
  v_deltas wfg.job_delta[];
begin
  perform 1
     from (
            select distinct m.run_id, c.job_no, (m.job_no % 16)::smallint as slot
              from unnest(p_moves) m
             cross join lateral unnest(m.wide_children) c (job_no)
             where m.move = 'success'
          ) k
     join wfg.join_slots s on s.run_id = k.run_id and s.job_no = k.job_no and s.slot = k.slot
    order by s.run_id, s.job_no, s.slot
      for update of s;

  with counted as (
    update wfg.join_slots s
       set parents_left = s.parents_left - n.parents
      from (
             select m.run_id, c.job_no, (m.job_no % 16)::smallint as slot, count(*)::integer as parents
               from unnest(p_moves) m
              cross join lateral unnest(m.wide_children) c (job_no)
              where m.move = 'success'
              group by 1, 2, 3
           ) n
     where s.run_id = n.run_id
       and s.job_no = n.job_no
       and s.slot = n.slot
    returning s.run_id, s.job_no, s.parents_left
  )
  select array_agg((e.run_id, e.job_no, e.slots)::wfg.job_delta)
    into v_deltas
    from (
           select c.run_id, c.job_no, count(*)::integer as slots
             from counted c
            where c.parents_left = 0
            group by c.run_id, c.job_no
         ) e;

  return v_deltas;
end;
$$;

comment on function wfg.count_down_joins(wfg.transition[]) is
'Take the successes off the slots of their wide children. Answers the wide jobs with slots that became empty,
and how many.';
create or replace function wfg.count_down_run(
  p_run_id uuid,
  p_delta  integer,
  p_now    timestamptz
)
  returns text
  language plpgsql
  volatile
as $$
declare
  v_state text;
begin
  -- Whoever waits here for another session computes the row anew, and wfg.run_outcome reads in a fresh snapshot each
  -- time: so it sees the jobs that the other one ended.
  update wfg.runs r
     set open_left          = r.open_left - p_delta,
         state              = case when r.open_left > p_delta then r.state else wfg.run_outcome(r.id) end,
         finished_at        = case when r.open_left <= p_delta then p_now end,
         active_workflow_id = case when r.open_left > p_delta then r.active_workflow_id end
   where r.id = p_run_id
  returning r.state
       into v_state;

  if v_state = 'active' then
    return 'running';
  end if;

  perform wfg.announce('wfg_runs', 0);

  return v_state;
end;
$$;

comment on function wfg.count_down_run(uuid, integer, timestamptz) is
'Take ended jobs (slots of a wide run) off the count of a run, and end it at zero. Answers its state on the wire.';
create or replace function wfg.count_down_run_slots(p_ended wfg.ended_job[])
  returns wfg.job_delta[]
  language plpgsql
  volatile
as $$
declare
  v_deltas wfg.job_delta[];
begin
  perform 1
     from (
            select distinct e.run_id, (e.job_no % 16)::smallint as slot
              from unnest(p_ended) e
             where e.in_wide_run
          ) k
     join wfg.run_slots s on s.run_id = k.run_id and s.slot = k.slot
    order by s.run_id, s.slot
      for update of s;

  with counted as (
    update wfg.run_slots s
       set open_left = s.open_left - n.jobs
      from (
             select e.run_id, (e.job_no % 16)::smallint as slot, count(*)::integer as jobs
               from unnest(p_ended) e
              where e.in_wide_run
              group by 1, 2
           ) n
     where s.run_id = n.run_id
       and s.slot = n.slot
    returning s.run_id, s.open_left
  )
  select array_agg((z.run_id, null, z.slots)::wfg.job_delta)
    into v_deltas
    from (
           select c.run_id, count(*)::integer as slots
             from counted c
            where c.open_left = 0
            group by c.run_id
         ) z;

  return v_deltas;
end;
$$;

comment on function wfg.count_down_run_slots(wfg.ended_job[]) is
'Take ended jobs off the slots of their wide runs. Answers the runs with slots that became empty, and how many.';
create or replace function wfg.count_down_runs(
  p_ended wfg.ended_job[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_any_wide boolean;
  v_deltas   wfg.job_delta[];
begin
  -- One job of a narrow run, or a batch: what there is to count is told apart in one pass.
  if cardinality(p_ended) = 1 and not p_ended[1].in_wide_run then
    v_deltas := array[(p_ended[1].run_id, null, 1)::wfg.job_delta];
  else
    select array_agg((n.run_id, null, n.jobs)::wfg.job_delta) filter (where not n.in_wide_run),
           bool_or(n.in_wide_run)
      into v_deltas, v_any_wide
      from (
             select e.run_id, e.in_wide_run, count(*)::integer as jobs
               from unnest(p_ended) e
              group by e.run_id, e.in_wide_run
           ) n;
  end if;

  if v_any_wide then
    v_deltas := v_deltas || wfg.count_down_run_slots(p_ended);
  end if;

  if v_deltas is not null then
    perform wfg.count_down_and_end_runs(v_deltas, p_now);
  end if;

  if v_any_wide and v_deltas is not null then
    perform wfg.drop_slots(v_deltas);
  end if;
end;
$$;

comment on function wfg.count_down_runs(wfg.ended_job[], timestamptz) is
'Take ended jobs off the counts of their runs, and end the runs that have none left.';
create or replace function wfg.current_version(p_workflow_id text)
  returns wfg.workflow_versions
  language plpgsql
  stable
as $$
declare
  v_version wfg.workflow_versions;
begin
  select v.*
    into v_version
    from wfg.workflows w
    join wfg.workflow_versions v on v.namespace = w.namespace and v.workflow_id = w.id and v.version = w.version
   where w.namespace = wfg.namespace()
     and w.id = p_workflow_id
     and w.deleted_at is null;

  if v_version.id is null then
    raise sqlstate 'PT404' using
      message = 'workflow_not_found',
      detail  = format('There is no workflow %s.', coalesce(to_json(left(p_workflow_id, 200))::text, 'null')),
      hint    = 'Put it first, or list the workflows there are.';
  end if;

  return v_version;
end;
$$;

comment on function wfg.current_version(text) is
'The version that a run started now would pin. Errors: 404 workflow_not_found.';
create or replace function wfg.descendants(
  p_version_id bigint,
  p_job_nos    integer[]
)
  returns table (job_no integer, is_wide boolean)
  language plpgsql
  stable
as $$
begin
  -- offset 0 keeps the planner from turning the join round: from all jobs of the version to the few just reached,
  -- once per step, which takes seconds for a chain of thousands.
  return query
    with recursive reached as (
      select c.job_no
        from unnest(p_job_nos) n (job_no)
       cross join lateral (
               select s.narrow_children || s.wide_children as children
                 from wfg.job_specs s
                where s.version_id = p_version_id
                  and s.job_no = n.job_no
               offset 0
             ) s
       cross join lateral unnest(s.children) c (job_no)
      union
      select c.job_no
        from reached r
       cross join lateral (
               select s.narrow_children || s.wide_children as children
                 from wfg.job_specs s
                where s.version_id = p_version_id
                  and s.job_no = r.job_no
               offset 0
             ) s
       cross join lateral unnest(s.children) c (job_no)
    )
    select r.job_no, s.is_wide
      from reached r
     cross join lateral (
             select s.is_wide
               from wfg.job_specs s
              where s.version_id = p_version_id
                and s.job_no = r.job_no
             offset 0
           ) s;
end;
$$;

comment on function wfg.descendants(bigint, integer[]) is
'Everything that depends on one of these jobs, directly or not.';
create or replace function wfg.describe_cycle(
  p_jobs jsonb,
  p_keys text[]
)
  returns text
  language plpgsql
  immutable
as $$
declare
  v_count constant integer := jsonb_array_length(p_jobs);
begin
  return (
    select string_agg(
             case when j.no = 7 and v_count > 12 then '… ' || v_count - 11 || ' more …'
                  else wfg.shorten(p_keys[j.job::integer]) end,
             ' -> '
             order by j.no
           )
      from jsonb_array_elements(p_jobs) with ordinality j (job, no)
     where j.no <= 7
        or j.no > v_count - 5
        or v_count <= 12
  );
end;
$$;

comment on function wfg.describe_cycle(jsonb, text[]) is
$$A cycle as `a -> b -> a`, each job needing the next; the middle of a long one is left out.

p_jobs: places in p_keys.$$;
create or replace function wfg.describe_json(p_value json)
  returns text
  language plpgsql
  immutable
as $$
begin
  return case json_typeof(p_value)
    when 'string' then 'the string ' || wfg.shorten(p_value::text)
    when 'number' then 'the number ' || wfg.shorten(p_value::text)
    when 'array' then 'a list'
    when 'object' then 'a mapping'
    else p_value::text          -- true, false, null
  end;
end;
$$;

comment on function wfg.describe_json(json) is 'What was found, in words: "the string "abc"", "a list".';
create or replace function wfg.describe_types(p_types text[])
  returns text
  language sql
  immutable
  parallel safe
as $$
  select string_agg(
           case t.type
             when 'string' then 'a string'
             when 'integer' then 'a whole number'
             when 'number' then 'a number'
             when 'boolean' then 'true or false'
             when 'array' then 'a list'
             when 'object' then 'a mapping'
             when 'null' then 'null'
           end,
           ' or '
           order by t.no
         )
    from unnest(p_types) with ordinality t (type, no)
   where not (t.type = 'integer' and 'number' = any (p_types));
$$;

comment on function wfg.describe_types(text[]) is 'Types of wfg.json_type in words: "a string or a list".';
create or replace function wfg.doomed(p_transitions wfg.transition[])
  returns wfg.job_ref[]
  language plpgsql
  stable
as $$
begin
  return (
    select array_agg((g.run_id, d.job_no, d.is_wide)::wfg.job_ref order by g.run_id, d.job_no)
      from (
             select t.run_id, t.version_id, array_agg(t.job_no) as job_nos
               from unnest(p_transitions) t
              where t.move in ('failure', 'cancelled')
                and t.narrow_children || t.wide_children <> '{}'
              group by t.run_id, t.version_id
           ) g
     cross join lateral wfg.descendants(g.version_id, g.job_nos) d
  );
end;
$$;

comment on function wfg.doomed(wfg.transition[]) is
'What these transitions skip: all descendants of the jobs that end otherwise than in success. Null when nothing.';
create or replace function wfg.drop_slots(p_deltas wfg.job_delta[])
  returns void
  language plpgsql
  volatile
as $$
begin
  delete from wfg.run_slots s
   using unnest(p_deltas) d
    join wfg.runs r on r.id = d.run_id and r.state <> 'active'
   where s.run_id = d.run_id;

  delete from wfg.join_slots s
   using unnest(p_deltas) d
    join wfg.runs r on r.id = d.run_id and r.state <> 'active'
   where s.run_id = d.run_id;
end;
$$;

comment on function wfg.drop_slots(wfg.job_delta[]) is
'Delete the counters of those of these runs that have ended.';
create or replace function wfg.earlier_run_json(
  p_earlier wfg.runs,
  p_run     wfg.runs
)
  returns json
  language plpgsql
  stable
as $$
begin
  if p_run.request_hash <> p_earlier.request_hash then
    raise sqlstate 'PT409' using
      message = 'idempotency_key_reused',
      detail  = format('p_idempotency_key: run %s was started with other inputs or another start time', p_earlier.id),
      hint    = 'Send the same request again, or a new key.';
  end if;

  return json_build_object(
    'run_id', p_earlier.id,
    'workflow_id', p_earlier.workflow_id,
    'version', (select v.version from wfg.workflow_versions v where v.id = p_earlier.version_id),
    'created', false
  );
end;
$$;

comment on function wfg.earlier_run_json(wfg.runs, wfg.runs) is
$$The answer to a start (p_run) that found an earlier run in its way, of its idempotency key or at the workflow door.

Errors: 409 idempotency_key_reused, when the earlier one was started otherwise.$$;
create or replace function wfg.edit_distance(
  p_a text,
  p_b text
)
  returns integer
  language plpgsql
  immutable
as $$
declare
  v_a    constant text[] := string_to_array(p_a, null);
  v_b    constant text[] := string_to_array(p_b, null);
  v_above         integer[] := array(select generate_series(0, cardinality(v_b)));
  v_row           integer[];
begin
  for i in 1 .. cardinality(v_a) loop
    v_row := array[i];

    for j in 1 .. cardinality(v_b) loop
      v_row[j + 1] := least(
        v_row[j] + 1,
        v_above[j + 1] + 1,
        v_above[j] + case when v_a[i] = v_b[j] then 0 else 1 end
      );
    end loop;

    v_above := v_row;
  end loop;

  return v_above[cardinality(v_b) + 1];
end;
$$;

comment on function wfg.edit_distance(text, text) is
'Levenshtein: how many characters to insert, delete or replace to get from one text to the other.';
create or replace function wfg.end_jobs(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns wfg.ended_job[]
  language plpgsql
  volatile
as $$
declare
  v_ended wfg.ended_job[];
  v_big   boolean;
begin
  with ended as (
    update wfg.jobs j
       set state       = m.move,
           started_at  = m.leased_at,
           finished_at = p_now,
           attempt     = m.attempt,
           lease_nonce = case when m.ord is not null then m.lease_nonce end,
           worker_id   = m.worker_id,
           outputs     = case when octet_length(m.outputs::text) <= 1024 then nullif(m.outputs, '{}') end,
           error       = m.error
      from unnest(p_moves) m
     where j.run_id = m.run_id
       and j.job_no = m.job_no
       and j.state = 'queued'
    returning j.run_id, j.job_no, m.in_wide_run, m.outputs <> '{}' and j.outputs is null as is_big
  ),
  gone as (
    delete from wfg.queue q
     using unnest(p_moves) m
     where m.move <> 'cancelled'
       and q.run_id = m.run_id
       and q.job_no = m.job_no
  )
  select array_agg((e.run_id, e.job_no, e.in_wide_run)::wfg.ended_job), bool_or(e.is_big)
    into v_ended, v_big
    from ended e;

  if v_big then
    insert into wfg.outputs (run_id, job_no, outputs)
    select m.run_id, m.job_no, m.outputs
      from unnest(p_moves) m
     where octet_length(m.outputs::text) > 1024;
  end if;

  return v_ended;
end;
$$;

comment on function wfg.end_jobs(wfg.transition[], timestamptz) is
$$Write the ends of these jobs, and take them out of the queue; what is cancelled leaves it by wfg.cancel_leases.

Answers those that did end here.$$;
create or replace function wfg.enqueue(
  p_refs wfg.job_ref[],
  p_now  timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_lane_ids integer[];
  v_lane_id  integer;
begin
  with queued as (
    insert into wfg.queue (run_id, job_no, lane_id, version_id, ready_at, enqueued_at)
    select k.run_id, k.job_no, s.lane_id, s.version_id, p_now, p_now
      from unnest(p_refs) k
     cross join lateral (
             select v.version_id, v.job_no, v.lane_id
               from wfg.runs r
               join wfg.job_specs v on v.version_id = r.version_id and v.job_no = k.job_no
              where r.id = k.run_id
             offset 0             -- else the join may begin with all jobs of the version
           ) s
    returning lane_id
  )
  select array_agg(distinct q.lane_id) into v_lane_ids from queued q;

  if wfg.any_cancelled_lease() then
    perform wfg.hold_back(p_refs, p_now);
  end if;

  foreach v_lane_id in array v_lane_ids loop
    perform wfg.announce('wfg_wake', v_lane_id);
  end loop;
end;
$$;

comment on function wfg.enqueue(wfg.job_ref[], timestamptz) is
'Queue jobs that wait for no parent any more, held back where a cancelled lease of the workflow door says so.';
create or replace function wfg.enqueue_in_run(
  p_run_id     uuid,
  p_version_id bigint,
  p_job_nos    integer[],
  p_now        timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_lane_ids integer[];
  v_lane_id  integer;
begin
  with queued as (
    insert into wfg.queue (run_id, job_no, lane_id, version_id, ready_at, enqueued_at)
    select p_run_id, s.job_no, s.lane_id, s.version_id, p_now, p_now
      from (select p_version_id as version_id, unnest(p_job_nos) as job_no offset 0) k
      join wfg.job_specs s on s.version_id = k.version_id and s.job_no = k.job_no
    returning lane_id
  )
  select array_agg(distinct q.lane_id) into v_lane_ids from queued q;

  foreach v_lane_id in array v_lane_ids loop
    perform wfg.announce('wfg_wake', v_lane_id);
  end loop;
end;
$$;

comment on function wfg.enqueue_in_run(uuid, bigint, integer[], timestamptz) is
$$Queue jobs of one run, as wfg.enqueue does for many, where no cancelled lease is in the way.

It need not look again: what holds back a job is a lease of an earlier run, cancelled before this one began.$$;
create or replace function wfg.env_name(p_name text)
  returns text
  language sql
  immutable
  strict
  parallel safe
as $$
  select regexp_replace(upper(p_name collate "C"), '[^A-Z0-9]', '_', 'g');
$$;

comment on function wfg.env_name(text) is
$$A name as part of the name of an environment variable: INPUT_ || wfg.env_name('my-input') is INPUT_MY_INPUT.

ASCII upper case; each character but A-Z and 0-9 becomes _. Two names can meet.$$;
create or replace function wfg.env_object(p_env json)
  returns jsonb
  language plpgsql
  immutable
as $$
begin
  if p_env is null then
    return '{}'::jsonb;
  end if;

  -- json, not jsonb: a number keeps the text it was written with.
  return (select coalesce(jsonb_object_agg(e.name, e.value), '{}') from json_each_text(p_env) e (name, value));
end;
$$;

comment on function wfg.env_object(json) is
'An env of a file as an object of strings, numbers and booleans by their source text. Null: {}.';
create or replace function wfg.expired_leases(
  p_limit  integer,
  p_from   timestamptz,
  p_except uuid[],
  p_now    timestamptz
)
  returns wfg.transition[]
  language plpgsql
  volatile
as $$
begin
  return (
    select array_agg(
             (
               null,
               case
                 when q.cancelled_at is not null then 'acknowledge'
                 when o.outcome = 'lease_expired' and q.lost < s.lost_retries then 'retry'
                 when q.attempt - q.lost < s.retries then 'retry'
                 else 'failure'
               end,
               o.outcome,
               q.run_id, q.job_no, q.version_id,
               s.is_wide, s.in_wide_run, s.narrow_children, s.wide_children,
               q.attempt,
               -- A lost lease is charged to lost_retries first, everything else to retries.
               case when o.outcome = 'lease_expired' and q.lost < s.lost_retries then q.lost + 1 else q.lost end,
               q.lane_id, q.worker_id, q.leased_at, q.lease_nonce,
               wfg.retry_delay(s.backoff, s.backoff_base, s.backoff_max, s.backoff_jitter, q.attempt + 1),
               null,
               case o.outcome
                 when 'job_timed_out' then format('job_timed_out: ran longer than %s s', s.timeout_secs)
                 else format('lease_expired: worker %s was not heard of for %s s', q.worker_id, q.ttl_secs)
               end
             )::wfg.transition
             order by q.run_id, q.job_no
           )
      from (
             select e.*
               from wfg.queue e
              where e.lease_nonce is not null
                and e.expires_at between p_from and p_now
                and e.run_id <> all (p_except)
              order by e.expires_at
              limit p_limit
           ) q
      join wfg.job_specs s on s.version_id = q.version_id and s.job_no = q.job_no
     cross join lateral (
             select case when q.timeout_at <= p_now then 'job_timed_out' else 'lease_expired' end as outcome
           ) o
  );
end;
$$;

comment on function wfg.expired_leases(integer, timestamptz, uuid[], timestamptz) is
$$Leases that are over, longest first, and what becomes of each: retry, failure, or the silent end of a cancelled one.

p_except: runs to pass over.$$;
create or replace function wfg.exports(p_env jsonb)
  returns text
  language plpgsql
  immutable
as $$
begin
  return (
    select coalesce(
             string_agg('export ' || e.key || '=' || wfg.quote_shell(e.value) || E'\n', '' order by e.key),
             ''
           )
      from jsonb_each_text(p_env) e
  );
end;
$$;

comment on function wfg.exports(jsonb) is
'One line of shell per variable: export NAME=''value''. p_env: object of strings, its names valid.';
create or replace function wfg.first_reports(p_items wfg.report_item[])
  returns wfg.report_item[]
  language plpgsql
  immutable
as $$
begin
  return (
    select array_agg(f.item)
      from (
             select distinct on (i.run_id, i.job_no, i.lease_nonce) i as item
               from unnest(p_items) i
              order by i.run_id, i.job_no, i.lease_nonce, i.ord
           ) f
  );
end;
$$;

comment on function wfg.first_reports(wfg.report_item[]) is
'The first report of each lease: a second one in the same batch is a repeat.';
create or replace function wfg.given_env(
  p_inputs   jsonb,
  p_upstream jsonb,
  p_room     integer
)
  returns jsonb
  language plpgsql
  immutable
as $$
begin
  -- Two outputs that become one name are both left out: neither is the right one. So is what a shell could not take.
  return (
    select coalesce(jsonb_object_agg(f.name, f.value) filter (where f.bytes_then <= p_room), '{}')
      from (
             select v.name, v.value,
                    sum(octet_length(wfg.exports(jsonb_build_object(v.name, v.value)))) over (
                      order by v.is_input desc, v.name
                    ) as bytes_then
               from (
                      select e.name, min(e.value) as value, bool_or(e.is_input) as is_input
                        from (
                               select 'INPUT_' || wfg.env_name(i.key) as name, i.value, true as is_input
                                 from jsonb_each_text(p_inputs) i
                               union all
                               select 'OUTPUT_' || wfg.env_name(u.key) || '_' || wfg.env_name(o.key), o.value, false
                                 from jsonb_each(p_upstream) u
                                cross join lateral jsonb_each_text(u.value) o
                             ) e
                       group by e.name
                      having count(*) = 1
                    ) v
              where octet_length(v.name) <= 1024
                and octet_length(v.value) <= 32768
           ) f
  );
end;
$$;

comment on function wfg.given_env(jsonb, jsonb, integer) is
$$INPUT_<NAME> and OUTPUT_<JOB>_<NAME>, as an object of strings: inputs first, as far as their exports fit p_room bytes.

A value over 32 KiB, or under a name over 1 KiB, is not exported; upstream_outputs has it.$$;
create or replace function wfg.handed_on(
  p_lease      wfg.granted_lease,
  out command  text,
  out upstream text
)
  returns record
  language plpgsql
  volatile
as $$
declare
  v_spec    wfg.job_specs;
  v_outputs jsonb := '{}'::jsonb;
  v_omitted text[] := '{}'::text[];
  v_has_any boolean := false;
  v_env     jsonb;
begin
  if p_lease.parents <> '{}' then
    select u.outputs, u.omitted, u.has_any
      into v_outputs, v_omitted, v_has_any
      from wfg.upstream_outputs(p_lease.run_id, p_lease.version_id, p_lease.parents) u;
  end if;

  upstream := concat('"upstream_outputs":', v_outputs, ',"upstream_omitted":', to_json(v_omitted));
  command := p_lease.claim_command;

  if p_lease.inputs <> '{}' or v_has_any then
    select s.* into v_spec from wfg.job_specs s where s.version_id = p_lease.version_id and s.job_no = p_lease.job_no;

    -- A command is one argument of a shell: less than 128 KiB on Linux.
    v_env := wfg.given_env(p_lease.inputs, v_outputs, 131071 - octet_length(v_spec.command)) || v_spec.env;
    v_spec.command := wfg.exports(v_env - array(select e.name from jsonb_object_keys(v_spec.env) e (name)))
                      || v_spec.command;
    command := concat('"command":', to_json(v_spec.command), ',"env":', v_env);
  end if;
end;
$$;

comment on function wfg.handed_on(wfg.granted_lease) is
'Members of a claim''s job that its run decides: command and env with the inputs and the outputs of its parents,
and these outputs.';
create or replace function wfg.has_job_in(
  p_run_id uuid,
  p_status text
)
  returns boolean
  language plpgsql
  stable
as $$
begin
  return exists (
    select
      from wfg.jobs j
      left join wfg.queue q on q.run_id = j.run_id and q.job_no = j.job_no
     where j.run_id = p_run_id
       and wfg.job_state(j.state, q.lease_nonce) = p_status
  );
end;
$$;

comment on function wfg.has_job_in(uuid, text) is
'Whether at least one job of a run is in a status of the wire.';
create or replace function wfg.hold_back(
  p_refs wfg.job_ref[],
  p_now  timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  update wfg.queue q
     set held_from = q.ready_at,
         ready_at  = greatest(q.ready_at, h.expires_at)
    from (
           select n.run_id, n.job_no, max(l.expires_at) as expires_at
             from unnest(p_refs) n
             join wfg.runs r on r.id = n.run_id and r.door = 'workflow'
             join wfg.job_specs s on s.version_id = r.version_id and s.job_no = n.job_no
             join wfg.queue l on l.cancelled_workflow_id = r.workflow_id and l.cancelled_job_id = s.key
            where l.run_id <> n.run_id
              and l.expires_at > p_now
            group by n.run_id, n.job_no
         ) h
   where q.run_id = h.run_id
     and q.job_no = h.job_no;
end;
$$;

comment on function wfg.hold_back(wfg.job_ref[], timestamptz) is
$$Hold rows just queued while a cancelled lease of the same workflow and job lives, so that its worker, which asks
`cancelled?` by these two ids, is never confused with the next one.$$;
create or replace function wfg.holding_leases(p_moves wfg.transition[])
  returns wfg.job_ref[]
  language plpgsql
  volatile
as $$
begin
  return (
    select array_agg(distinct (q.run_id, q.job_no, false)::wfg.job_ref)
      from unnest(p_moves) m
      join wfg.runs r on r.id = m.run_id and r.door = 'workflow'
     cross join lateral unnest(m.narrow_children || m.wide_children) c (job_no)
      join wfg.job_specs s on s.version_id = m.version_id and s.job_no = c.job_no
      join wfg.queue q on q.cancelled_workflow_id = r.workflow_id and q.cancelled_job_id = s.key
     where m.move = 'success'
       and q.run_id <> m.run_id
  );
end;
$$;

comment on function wfg.holding_leases(wfg.transition[]) is
$$Cancelled leases of earlier runs of the workflow door, of jobs that these transitions may queue.

They are locked before the new row is queued: else an acknowledgement in between would miss it, and leave it held.$$;
create or replace function wfg.insert_job_specs(
  p_version_id bigint,
  p_source     json,
  p_definition jsonb
)
  returns void
  language plpgsql
  volatile
  set enable_nestloop = off
  set jit = off
  set max_parallel_workers_per_gather = 0
as $$
declare
  v_count    constant integer := jsonb_array_length(p_definition -> 'jobs');
  v_edges             wfg.job_edge[];
  v_numbers           integer[];   -- job_no by place in the file
begin
  v_edges := array(
    with job as materialized (
      select j.no::integer as no, j.job ->> 'key' as key, j.job -> 'needs' as needs
        from jsonb_array_elements(p_definition -> 'jobs') with ordinality j (job, no)
    )
    select row(c.no, p.no, n.no)::wfg.job_edge
      from job c
     cross join lateral jsonb_array_elements_text(c.needs) with ordinality n (key, no)
      join job p on p.key = n.key
     order by c.no, p.no
  );

  v_numbers := (
    select s.numbers
      from wfg.sort_jobs(
             v_count,
             array(select e.child from unnest(v_edges) e),
             array(select e.parent from unnest(v_edges) e)
           ) s
  );

  insert into wfg.job_specs (
    version_id, job_no, display_no, key, name, lane_id,
    retries, lost_retries, backoff, backoff_base, backoff_max, backoff_jitter, timeout_secs,
    labels, parents, narrow_children, wide_children, is_wide, in_wide_run,
    env, script, command, claim_fixed, claim_command, job_group, metadata, ports, nested_jobs, collapsed
  )
  with parent as (
    select e.child as no, array_agg(v_numbers[e.parent] order by e.place) as parents,
           wfg.is_wide(count(*)::integer) as is_wide
      from unnest(v_edges) e
     group by e.child
  ),
  child as (
    select e.parent as no,
           array_agg(v_numbers[e.child] order by v_numbers[e.child])
             filter (where not p.is_wide) as narrow_children,
           array_agg(v_numbers[e.child] order by v_numbers[e.child])
             filter (where p.is_wide) as wide_children
      from unnest(v_edges) e
      join parent p on p.no = e.child
     group by e.parent
  ),
  job as (
    select j.no::integer as no, j.job, array(select jsonb_array_elements_text(j.job -> 'labels')) as labels
      from jsonb_array_elements(p_definition -> 'jobs') with ordinality j (job, no)
  )
  select p_version_id,
         v_numbers[j.no],
         j.no,
         j.job ->> 'key',
         j.job ->> 'name',
         l.id,
         (j.job -> 'retries')::integer,
         (j.job -> 'lost_retries')::integer,
         j.job #>> '{backoff,kind}',
         (j.job #>> '{backoff,base_secs}')::integer,
         (j.job #>> '{backoff,max_secs}')::integer,
         coalesce((j.job #>> '{backoff,jitter}')::numeric, 0),
         (j.job ->> 'timeout_secs')::integer,
         j.labels,
         coalesce(p.parents, '{}'),
         coalesce(c.narrow_children, '{}'),
         coalesce(c.wide_children, '{}'),
         coalesce(p.is_wide, false),
         wfg.is_wide(v_count),
         j.job -> 'env',
         j.job ->> 'script',
         j.job ->> 'command',
         concat_ws(
           ',',
           concat('"job_id":', to_json(j.job ->> 'key')),
           concat('"script":', to_json(j.job ->> 'script')),
           concat('"required_labels":', to_json(j.labels)),
           concat('"retry_policy":', json_build_object(
             'max_retries', j.job -> 'retries',
             'backoff', wfg.backoff_json(
               j.job #>> '{backoff,kind}', (j.job #>> '{backoff,base_secs}')::integer,
               (j.job #>> '{backoff,max_secs}')::integer
             )
           )),
           concat('"timeout_secs":', coalesce(j.job ->> 'timeout_secs', 'null'))
         ),
         concat('"command":', to_json(j.job ->> 'command'), ',"env":', j.job -> 'env'),
         j.job ->> 'group',
         coalesce(s.metadata, '{}'),
         coalesce(s.ports, '[]'),
         s.children,
         (j.job -> 'collapsed')::boolean
    from job j
    join wfg.lanes l
      on l.namespace = wfg.namespace()
     and l.labels = wfg.sorted_labels(j.labels)
     and l.priority = (j.job -> 'priority')::integer
    join wfg.source_jobs(p_source) s on s.display_no = j.no
    left join parent p on p.no = j.no
    left join child c on c.no = j.no
   order by v_numbers[j.no];
end;
$$;

comment on function wfg.insert_job_specs(bigint, json, jsonb) is
$$Store the jobs of a version, numbered topologically. Their lanes must be there.

parents stand in the order in which the definition names them, children in the order of their numbers.$$;
create or replace function wfg.insert_runs(
  p_runs    wfg.runs[],
  p_version wfg.workflow_versions,
  p_now     timestamptz
)
  returns uuid[]
  language plpgsql
  volatile
as $$
declare
  v_job_count constant integer := p_version.job_count;
  v_ids                uuid[];
  v_start_ats          timestamptz[];
  v_any_cancelled      boolean := false;
  v_lane_ids           integer[];
  v_lane_id            integer;
begin
  -- In the order of their keys: two batches with the same ones wait for each other, but not in a circle.
  with inserted as (
    insert into wfg.runs (
      id, version_id, created_at, start_at, finished_at, open_left, state, door, namespace, workflow_id, inputs,
      idempotency_key, request_hash, started_by, reason, active_workflow_id
    )
    select r.id, p_version.id, p_now, r.start_at,
           case v_job_count when 0 then p_now end,
           case when wfg.is_wide(v_job_count) then 16 else v_job_count end,
           case v_job_count when 0 then 'success' else 'active' end,
           r.door, r.namespace, r.workflow_id, r.inputs, r.idempotency_key, r.request_hash, r.started_by, r.reason,
           case when r.door = 'workflow' and v_job_count > 0 then r.workflow_id end
      from unnest(p_runs) r
     order by r.idempotency_key, r.id
        on conflict do nothing
    returning id, start_at
  )
  select coalesce(array_agg(i.id), '{}'::uuid[]), array_agg(i.start_at) into v_ids, v_start_ats from inserted i;

  if v_ids = '{}' then
    return v_ids;
  end if;

  insert into wfg.jobs (run_id, job_no, parents_left)
  select k.id, s.job_no,
         case
           when s.is_wide then (select count(distinct p.job_no % 16) from unnest(s.parents) p (job_no))
           else cardinality(s.parents)
         end
    from unnest(v_ids) k (id)
   cross join wfg.job_specs s
   where s.version_id = p_version.id;

  if wfg.is_wide(v_job_count) then
    perform wfg.insert_slots(v_ids, p_version.id);
  end if;

  if p_runs[1].door = 'workflow' then
    update wfg.workflows w
       set latest_run_id = v_ids[1]
     where w.namespace = p_runs[1].namespace
       and w.id = p_runs[1].workflow_id;

    v_any_cancelled := wfg.any_cancelled_lease();

    if v_any_cancelled then
      perform wfg.lock_leases_holding(p_runs[1].workflow_id, p_version.id);
    end if;
  end if;

  with queued as (
    insert into wfg.queue (run_id, job_no, lane_id, version_id, ready_at, enqueued_at)
    select k.id, s.job_no, s.lane_id, s.version_id, greatest(k.start_at, p_now), p_now
      from unnest(v_ids, v_start_ats) k (id, start_at)
     cross join wfg.job_specs s
     where s.version_id = p_version.id
       and s.parents = '{}'
    returning lane_id, ready_at
  )
  select array_agg(distinct q.lane_id) filter (where q.ready_at <= p_now) into v_lane_ids from queued q;

  if v_any_cancelled then
    perform wfg.hold_back(
      array(
        select (v_ids[1], s.job_no, false)::wfg.job_ref
          from wfg.job_specs s
         where s.version_id = p_version.id
           and s.parents = '{}'
      ),
      p_now
    );
  end if;

  foreach v_lane_id in array coalesce(v_lane_ids, '{}'::integer[]) loop
    perform wfg.announce('wfg_wake', v_lane_id);
  end loop;

  return v_ids;
end;
$$;

comment on function wfg.insert_runs(wfg.runs[], wfg.workflow_versions, timestamptz) is
$$Create runs of one version with their jobs and counters, and queue what depends on nothing. A run without jobs ends
here.

p_runs: id, namespace, workflow_id, door, inputs, start_at, key and hash, who and why; the rest is filled in. At most
one of the workflow door, and that alone, under wfg.lock_door.
Answers the ids of those inserted; not that of one whose idempotency key is taken, or whose workflow door is.$$;
create or replace function wfg.insert_slots(
  p_run_ids    uuid[],
  p_version_id bigint
)
  returns void
  language plpgsql
  volatile
as $$
begin
  insert into wfg.run_slots (run_id, slot, open_left)
  select k.id, n.slot, n.jobs
    from unnest(p_run_ids) k (id)
   cross join (
           select s.job_no % 16 as slot, count(*) as jobs
             from wfg.job_specs s
            where s.version_id = p_version_id
            group by 1
         ) n;

  insert into wfg.join_slots (run_id, job_no, slot, parents_left)
  select k.id, n.job_no, n.slot, n.parents
    from unnest(p_run_ids) k (id)
   cross join (
           select s.job_no, p.job_no % 16 as slot, count(*) as parents
             from wfg.job_specs s
            cross join lateral unnest(s.parents) p (job_no)
            where s.version_id = p_version_id
              and s.is_wide
            group by 1, 2
         ) n;
end;
$$;

comment on function wfg.insert_slots(uuid[], bigint) is
'The counters of new wide runs, and of the wide joins in them: sql/README.md, Counting.';
create or replace function wfg.is_count(p_value jsonb)
  returns boolean
  language plpgsql
  immutable
as $$
begin
  if jsonb_typeof(p_value) is distinct from 'number' then
    return false;
  end if;

  -- 2^53 - 1: what every client's numbers can hold.
  return p_value::numeric between 0 and 9007199254740991
     and p_value::numeric = trunc(p_value::numeric);
end;
$$;

comment on function wfg.is_count(jsonb) is 'Whether a JSON value is a whole number from 0 to 2^53 - 1.';
create or replace function wfg.is_lease_id(p_text text)
  returns boolean
  language sql
  immutable
  parallel safe
as $$
  -- A regular expression says this in one line, and takes 10 us.
  select translate(p_text, '0123456789abcdef', '') = '..'
     and length(split_part(p_text, '.', 1)) = 32
     and length(split_part(p_text, '.', 2)) between 1 and 6
     and length(split_part(p_text, '.', 3)) = 32
     and translate(split_part(p_text, '.', 2), '0123456789', '') = ''
     and split_part(p_text, '.', 2) not like '0%';
$$;

comment on function wfg.is_lease_id(text) is
'Whether a text has the form that wfg.lease_id gives: what has not is simply not held, and never cast.';
create or replace function wfg.is_run_id(p_text text)
  returns boolean
  language sql
  immutable
  parallel safe
as $$
  select p_text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$';
$$;

comment on function wfg.is_run_id(text) is
'Whether a text has the form of a run id (lower case UUID v7). No workflow id has it, so one parameter can take
either.';
create or replace function wfg.job_json(
  p_job   wfg.jobs,
  p_spec  wfg.job_specs,
  p_entry wfg.queue
)
  returns json
  language plpgsql
  stable
as $$
declare
  v_entry wfg.queue := p_entry;
begin
  -- A cancelled lease is no part of the job any more.
  if v_entry.cancelled_at is not null then
    v_entry := null;
  end if;

  return json_build_object(
    'job_id', p_spec.key,
    'name', p_spec.name,
    'state', wfg.job_state(p_job.state, v_entry.lease_nonce),
    'attempt', coalesce(v_entry.attempt, p_job.attempt),
    'worker_id', coalesce(v_entry.worker_id, p_job.worker_id),
    'needs', array(
      select s.key
        from unnest(p_spec.parents) p (job_no)
       cross join lateral (
               select k.key, k.display_no
                 from wfg.job_specs k
                where k.version_id = p_spec.version_id
                  and k.job_no = p.job_no
               offset 0
             ) s
       order by s.display_no
    ),
    'group', p_spec.job_group,
    'ready_at_ms', wfg.epoch_ms(v_entry.ready_at),
    'started_at_ms', wfg.epoch_ms(coalesce(v_entry.leased_at, p_job.started_at)),
    'finished_at_ms', wfg.epoch_ms(p_job.finished_at),
    'error', p_job.error
  );
end;
$$;

comment on function wfg.job_json(wfg.jobs, wfg.job_specs, wfg.queue) is
'A job of a run, as a member of "jobs" (sql/README.md, Run). ready_at_ms: null once it has ended, and while
parents are open.';
create or replace function wfg.job_no(
  p_version_id bigint,
  p_job_id     text
)
  returns integer
  language plpgsql
  stable
as $$
declare
  v_job_no integer;
begin
  select s.job_no into v_job_no from wfg.job_specs s where s.version_id = p_version_id and s.key = p_job_id;

  if v_job_no is null then
    raise sqlstate 'PT404' using
      message = 'job_not_found',
      detail  = format('The run has no job %s.', coalesce(to_json(left(p_job_id, 200))::text, 'null')),
      hint    = 'A job''s id is its key in the workflow file.';
  end if;

  return v_job_no;
end;
$$;

comment on function wfg.job_no(bigint, text) is
'The number of a job by its key. Errors: 404 job_not_found.';
create or replace function wfg.job_state(
  p_state       text,
  p_lease_nonce uuid
)
  returns text
  language sql
  immutable
as $$
  select case
    when p_state is null then 'queued'
    when p_state = 'queued' and p_lease_nonce is not null then 'running'
    else p_state
  end;
$$;

comment on function wfg.job_state(text, uuid) is
'A job''s state on the wire: a queued job whose queue row is leased is running. Null, of a job of no run: queued.';
create or replace function wfg.json_problem(p_value json)
  returns wfg.definition_problem
  language plpgsql
  immutable
as $$
declare
  v_bytes constant integer := octet_length(p_value::text);
  v_detail         text;
  v_context        text;
begin
  if v_bytes > 16 * 1024 * 1024 then
    return (
      '{}', '', format('is %s bytes long, at most 16 MiB are allowed', v_bytes), 'Move long scripts into files.', false
    )::wfg.definition_problem;
  end if;

  -- json takes text that jsonb, and text in Postgres, cannot hold. Say so here, or it fails anywhere below.
  perform p_value::jsonb;
  return null;
exception
  when untranslatable_character or invalid_text_representation then
    get stacked diagnostics
      v_detail = pg_exception_detail,      -- \u0000 cannot be converted to text.
      v_context = pg_exception_context;    -- JSON data, line 1: ...t":"\u0000, then the stack

    return (
      '{}', '',
      format('contains text that Postgres cannot store: %s %s', v_detail, left(split_part(v_context, E'\n', 1), 200)),
      'Take the \u0000, or the lone half of a surrogate pair, out.', false
    )::wfg.definition_problem;
  when numeric_value_out_of_range then
    return (
      '{}', '', 'contains a number that Postgres cannot store', 'Write it as a string.', false
    )::wfg.definition_problem;
  when statement_too_complex or program_limit_exceeded then
    return (
      '{}', '', 'is nested too deeply, or too large', 'Make it flatter.', false
    )::wfg.definition_problem;
end;
$$;

comment on function wfg.json_problem(json) is
'Why a JSON text cannot be stored, whatever it means: NUL, lone surrogates, huge numbers, its size. Null: it can.';
create or replace function wfg.json_size(p_value json)
  returns bigint
  language plpgsql
  immutable
as $$
begin
  return case json_typeof(p_value)
    when 'array' then json_array_length(p_value)
    when 'object' then (select count(*) from json_object_keys(p_value))
  end;
end;
$$;

comment on function wfg.json_size(json) is 'How many members a list or mapping has; null for anything else.';
create or replace function wfg.json_type(p_value json)
  returns text
  language sql
  immutable
  parallel safe
as $$
  select case
    when json_typeof(p_value) = 'number' and p_value::text ~ '^-?[0-9]+$' then 'integer'
    else json_typeof(p_value)
  end;
$$;

comment on function wfg.json_type(json) is 'As json_typeof, but integer for a number without point and exponent.';
create or replace function wfg.key_hint(
  p_level text,
  p_key   text
)
  returns text
  language plpgsql
  immutable
as $$
declare
  v_keys    constant text[] := array(
    select k.key from wfg.known_keys() k where k.level = p_level and k.types <> '{}'
  );
  v_nearest constant text := wfg.nearest_name(p_key, v_keys);
begin
  return coalesce('Did you mean ' || v_nearest || '? ', '')
    || 'Known keys: ' || array_to_string(v_keys, ', ') || '.';
end;
$$;

comment on function wfg.key_hint(text, text) is
'What to write instead of an unknown key: the nearest known one, and all.';
create or replace function wfg.known_keys()
  returns setof wfg.known_key
  language sql
  immutable
  rows 100
as $$
  -- The first row gives the columns their types.
  values
    -- level, key, types, least, most, choices, required, items, members, hint
    ('file', 'name', '{string}'::text[], 1::numeric, 200::numeric, null::text[], false, null, null,
     'Write name: my-workflow.'),
    ('file', 'on', '{string,array,object}', 1, 200, null, false, 'events', null,
     'Write on: push, or on: [push, manual].'),
    ('file', 'inputs', '{object}', null, null, null, false, null, 'inputs',
     'Write inputs: {target: {type: string}}.'),
    ('file', 'env', '{object}', null, null, null, false, null, 'env', 'Write env: {NAME: value}.'),
    ('file', 'jobs', '{object}', 0, 10000, null, true, null, 'jobs',
     'Write jobs: {build: {run: make}}.'),
    ('file', 'concurrency', '{}', null, null, null, false, null, null, null),
    ('events', '*', '{string}', 1, 200, null, false, null, null, 'Write on: [push, manual].'),

    ('inputs', '*', '{object}', null, null, null, false, null, 'input',
     'Write target: {type: string, default: dev}.'),
    ('input', 'type', '{string}', null, null, '{string,number,boolean,choice}', false, null, null,
     'Write type: string, number, boolean or choice.'),
    ('input', 'default', '{string,number,integer,boolean}', null, null, null, false, null, null,
     'Write a value of the input''s type, or leave the key out.'),
    ('input', 'required', '{boolean}', null, null, null, false, null, null,
     'Write required: true.'),
    ('input', 'description', '{string}', 0, 1000, null, false, null, null, 'Write one sentence.'),
    ('input', 'options', '{array}', 1, 1000, null, false, 'options', null,
     'Write options: [dev, prod].'),
    ('options', '*', '{string}', 1, 200, null, false, null, null, 'Put quotes around it.'),

    ('env', '*', '{string,number,integer,boolean}', null, null, null, false, null, null,
     'Write NAME: value; "" for an empty one.'),

    -- A job of the file.
    ('jobs', '*', '{object}', null, null, null, false, null, 'job', 'Write build: {run: make}.'),
    ('job', 'name', '{string}', 1, 200, null, false, null, null,
     'Write text; quotes make a number text.'),
    ('job', 'needs', '{string,array,"null"}', null, null, null, false, 'needs', null,
     'Write needs: build, or needs: [build, test].'),
    ('job', 'run', '{string,boolean}', null, null, null, false, null, null, 'Write run: make.'),
    ('job', 'steps', '{array}', null, null, null, false, 'steps', null,
     'Write steps: [{run: make}].'),
    ('job', 'env', '{object}', null, null, null, false, null, 'env', 'Write env: {NAME: value}.'),
    ('job', 'labels', '{array}', 0, 100, null, false, 'labels', null, 'Write labels: [linux].'),
    ('job', 'retries', '{integer}', 0, 100, null, false, null, null,
     'Write retries: 2, at most 100.'),
    ('job', 'lost_retries', '{integer}', 0, 100, null, false, null, null,
     'Write lost_retries: 2, at most 100.'),
    ('job', 'backoff', '{string,object}', null, null, '{none}', false, null, 'backoff',
     'Write backoff: none, {fixed: 5} or {exponential: {base: 2}}.'),
    ('job', 'timeout', '{integer}', 1, 604800, null, false, null, null,
     'Write seconds, such as timeout: 600; at most 604800, which is 7 days.'),
    ('job', 'priority', '{integer}', -100, 100, null, false, null, null,
     'Write priority: 10, from -100 to 100.'),
    ('job', 'group', '{string}', 1, 200, null, false, null, null, 'Write group: deploy.'),
    ('job', 'metadata', '{object}', null, null, null, false, null, null,
     'Write metadata: {owner: me}.'),
    ('job', 'if', '{}', null, null, null, false, null, null,
     'Conditions are not supported yet. Test in the script instead.'),
    ('job', 'uses', '{}', null, null, null, false, null, null, null),
    ('job', 'strategy', '{}', null, null, null, false, null, null, null),
    ('job', 'concurrency', '{}', null, null, null, false, null, null, null),
    ('job', 'services', '{}', null, null, null, false, null, null, null),
    ('job', 'container', '{}', null, null, null, false, null, null, null),
    ('job', 'runs-on', '{}', null, null, null, false, null, null, 'Write labels: [linux].'),
    ('job', 'timeout-minutes', '{}', null, null, null, false, null, null,
     'Write timeout, in seconds.'),
    ('job', 'depends_on', '{}', null, null, null, false, null, null, 'Write needs: [build].'),
    ('job', 'command', '{}', null, null, null, false, null, null, 'Write run: make.'),
    ('needs', '*', '{string}', 1, 200, null, false, null, null,
     'Write the key of a job; quotes make a number text.'),
    ('labels', '*', '{string}', 1, 200, null, false, null, null,
     'Write labels: [linux]; quotes make a number text.'),

    ('backoff', 'fixed', '{integer}', 0, 604800, null, false, null, null,
     'Write seconds, such as fixed: 5.'),
    ('backoff', 'exponential', '{object}', null, null, null, false, null, 'exponential',
     'Write exponential: {base: 2, max: 60}.'),
    ('exponential', 'base', '{integer}', 1, 604800, null, true, null, null,
     'Write seconds, such as base: 2.'),
    ('exponential', 'max', '{integer}', 1, 604800, null, false, null, null,
     'Write seconds, such as max: 60.'),
    ('exponential', 'jitter', '{number,integer}', 0, 1, null, false, null, null,
     'Write a number from 0 to 1, such as jitter: 0.2.'),

    ('steps', '*', '{object}', null, null, null, false, null, 'step',
     'Write steps: [{run: make}].'),
    ('step', 'name', '{string}', 1, 200, null, false, null, null,
     'Write text; quotes make a number text.'),
    ('step', 'id', '{string}', 1, 200, null, false, null, null,
     'Write text; quotes make a number text.'),
    ('step', 'run', '{string,boolean}', null, null, null, true, null, null, 'Write run: make.'),
    ('step', 'env', '{object}', null, null, null, false, null, 'env', 'Write env: {NAME: value}.'),
    ('step', 'if', '{}', null, null, null, false, null, null,
     'Conditions are not supported yet. Test in the script instead.'),
    ('step', 'uses', '{}', null, null, null, false, null, null, null),

    -- The job list of POST /api/workflows.
    ('list', 'jobs', '{array}', 0, 10000, null, true, 'listed_jobs', null,
     'Send an array of jobs.'),
    ('listed_jobs', '*', '{object}', null, null, null, false, null, 'listed_job',
     'Send a job: id, name, status, command, depends_on.'),
    ('listed_job', 'id', '{string}', 1, 200, null, true, null, null, 'Send 1 to 200 characters.'),
    ('listed_job', 'name', '{string}', 1, 200, null, true, null, null, 'Send 1 to 200 characters.'),
    ('listed_job', 'status', '{string}', null, null,
     '{queued,running,success,failure,skipped,cancelled}', true, null, null, 'Send "queued".'),
    ('listed_job', 'command', '{string}', 0, null, null, true, null, null, 'Send shell text.'),
    ('listed_job', 'depends_on', '{array}', null, null, null, true, 'needs', null,
     'Send job ids, [] for none.'),
    ('listed_job', 'duration_secs', '{integer,"null"}', 0, null, null, false, null, null,
     'Leave it out.'),
    ('listed_job', 'started_at', '{number,integer,"null"}', null, null, null, false, null, null,
     'Leave it out.'),
    ('listed_job', 'output', '{string,"null"}', null, null, null, false, null, null, 'Leave it out.'),
    ('listed_job', 'required_labels', '{array}', 0, 100, null, false, 'labels', null,
     'Send ["linux"].'),
    ('listed_job', 'max_retries', '{integer}', 0, 100, null, false, null, null, 'Send 0 to 100.'),
    ('listed_job', 'attempt', '{integer}', 0, 4294967295, null, false, null, null, 'Leave it out.'),
    ('listed_job', 'metadata', '{object}', null, null, null, false, null, null,
     'Send an object, or leave it out.'),
    ('listed_job', 'ports', '{array}', null, null, null, false, 'ports', null,
     'Send an array of ports, or leave it out.'),
    ('listed_job', 'children', '{array,"null"}', null, null, null, false, 'listed_jobs', null,
     'Send an array of jobs, or leave it out.'),
    ('listed_job', 'collapsed', '{boolean}', null, null, null, false, null, null,
     'Send true or false.'),
    ('ports', '*', '{object}', null, null, null, false, null, 'port',
     'Send a port: id, label, direction.'),
    ('port', 'id', '{string}', null, null, null, true, null, null, 'Send a string.'),
    ('port', 'label', '{string}', null, null, null, true, null, null, 'Send a string.'),
    ('port', 'direction', '{string}', null, null, '{input,output}', true, null, null,
     'Send "input" or "output".'),
    ('port', 'port_type', '{string}', null, null, null, false, null, null,
     'Send a string, or leave it out.'),
    ('port', 'color', '{string,"null"}', null, null, null, false, null, null,
     'Send a string, or leave it out.');
$$;

comment on function wfg.known_keys() is
$$The contract of workflow files and of the API's job list: every key, with the types and limits of its value.

A key with types {} is refused: with its hint, or as not supported yet when it has none.$$;
create or replace function wfg.known_run(p_id text)
  returns wfg.runs
  language plpgsql
  stable
as $$
declare
  v_run constant wfg.runs := wfg.resolve_run(p_id);
begin
  if v_run.id is not null then
    return v_run;
  end if;

  perform wfg.check_no_run_yet(p_id);

  raise sqlstate 'PT404' using
    message = 'run_not_found',
    detail  = format('Workflow %s has no run of the workflow door yet.', to_json(p_id)),
    hint    = 'Run it, or give the id of a run.';
end;
$$;

comment on function wfg.known_run(text) is
'The run that an id means, as wfg.resolve_run. Errors: 404 run_not_found, workflow_not_found.';
create or replace function wfg.label_set(
  p_labels text[],
  p_now    timestamptz
)
  returns wfg.label_sets
  language plpgsql
  volatile
as $$
declare
  v_labels constant text[] := wfg.sorted_labels(p_labels);
  v_set             wfg.label_sets;
begin
  select s.*
    into v_set
    from wfg.label_sets s
   where s.namespace = wfg.namespace()
     and s.labels = v_labels;

  if not found then
    return wfg.add_label_set(v_labels, p_now);
  end if;

  -- Not worth waiting for: another session is about to say the same.
  if v_set.used_at < p_now - interval '1 hour' then
    update wfg.label_sets s
       set used_at = date_trunc('hour', p_now)
     where s.id = (select l.id from wfg.label_sets l where l.id = v_set.id for update skip locked);
  end if;

  return v_set;
end;
$$;

comment on function wfg.label_set(text[], timestamptz) is
$$A worker's label set, with the lanes it may take: lane_ids, and priorities in the same order, highest first.

A known one takes no lock; an unknown one is inserted.$$;
create or replace function wfg.lanes_from_bottom(
  p_lanes wfg.lane_head[],
  p_now   timestamptz
)
  returns wfg.lane_head[]
  language plpgsql
  immutable
as $$
begin
  return (
    select array_agg(
             (
               l.lane_id, l.priority, '-infinity'::timestamptz, l.scanned_at, l.refreshed_at
             )::wfg.lane_head
             order by l.ord
           )
      from unnest(p_lanes) with ordinality l (lane_id, priority, low_water_at, scanned_at, refreshed_at, ord)
     where l.low_water_at > '-infinity'
       and p_now - l.scanned_at not between '0' and interval '1 second'
  );
end;
$$;

comment on function wfg.lanes_from_bottom(wfg.lane_head[], timestamptz) is
$$Those of these lanes that have a mark, without it, if nobody has looked below it for a second. Null: none.

Under a transaction held open elsewhere such a look passes every entry that died since: not for each idle poll.$$;
create or replace function wfg.lanes_not_empty(p_labels text[])
  returns wfg.lane_head[]
  language plpgsql
  volatile
as $$
begin
  -- A loose index scan: one probe of queue_ready per lane that has anything unleased.
  return (
    with recursive walk as (
      (
        select q.lane_id
          from wfg.queue q
         where q.lease_nonce is null
         order by q.lane_id
         limit 1
      )
      union all
      select (
               select q.lane_id
                 from wfg.queue q
                where q.lease_nonce is null
                  and q.lane_id > w.lane_id
                order by q.lane_id
                limit 1
             )
        from walk w
       where w.lane_id is not null
    )
    select array_agg(
             (l.id, l.priority, coalesce(m.low_water_at, '-infinity'), m.scanned_at, m.refreshed_at)::wfg.lane_head
             order by l.priority desc, l.id
           )
      from walk w
      join wfg.lanes l on l.id = w.lane_id
      left join wfg.lane_marks m on m.lane_id = w.lane_id
     where l.namespace = wfg.namespace()
       and l.labels <@ p_labels
  );
end;
$$;

comment on function wfg.lanes_not_empty(text[]) is
'The lanes with anything unleased that a worker with these labels may take, with their marks.';
create or replace function wfg.lanes_of(
  p_claimer wfg.claimer,
  p_labels  text[]
)
  returns wfg.lane_head[]
  language plpgsql
  volatile
as $$
begin
  if cardinality(p_claimer.lane_ids) = 1 then
    return array[(
      p_claimer.lane_ids[1], p_claimer.priorities[1], coalesce(p_claimer.low_water_at, '-infinity'),
      p_claimer.scanned_at, p_claimer.refreshed_at
    )::wfg.lane_head];
  end if;

  if cardinality(p_claimer.lane_ids) > 16 then
    return wfg.lanes_not_empty(p_labels);
  end if;

  return (
    select array_agg(
             (
               l.lane_id, l.priority, coalesce(m.low_water_at, '-infinity'), m.scanned_at, m.refreshed_at
             )::wfg.lane_head
             order by l.ord
           )
      from unnest(p_claimer.lane_ids, p_claimer.priorities) with ordinality l (lane_id, priority, ord)
      left join wfg.lane_marks m on m.lane_id = l.lane_id
  );
end;
$$;

comment on function wfg.lanes_of(wfg.claimer, text[]) is
$$The lanes that this worker may take, with their marks; of more than 16 only those that are not empty.

Null when there are none, or its label set was pruned just now.$$;
create or replace function wfg.lease(
  p_share     wfg.lane_share,
  p_worker_id text,
  p_ttl_secs  integer,
  p_now       timestamptz
)
  returns text[]
  language plpgsql
  volatile
as $$
declare
  v_claims text[];
begin
  with picked as (
    select q.run_id, q.job_no
      from wfg.queue q
     where q.lane_id = p_share.lane_id
       and q.lease_nonce is null
       and q.ready_at between p_share.low_water_at and p_now
     order by q.ready_at, q.run_id, q.job_no
     limit p_share.jobs
       for update skip locked
  ),
  leased as (
    update wfg.queue q
       set lease_nonce = gen_random_uuid(),
           worker_id   = p_worker_id,
           ttl_secs    = p_ttl_secs,
           leased_at   = p_now,
           timeout_at  = p_now + make_interval(secs => s.timeout_secs),
           expires_at  = p_now + make_interval(secs => least(p_ttl_secs, s.timeout_secs)),
           held_from   = null
      from picked k,
           wfg.job_specs s
     where q.run_id = k.run_id
       and q.job_no = k.job_no
       and s.version_id = q.version_id
       and s.job_no = q.job_no
    returning q.run_id, q.job_no, q.version_id, q.ready_at, q.enqueued_at, q.attempt,
              q.lease_nonce, q.worker_id, q.ttl_secs, q.leased_at, q.expires_at,
              s.key, s.parents, s.claim_fixed, s.claim_command
  )
  select array_agg(
           wfg.claim_json((l.*, r.door, r.workflow_id, r.inputs)::wfg.granted_lease)
           order by l.ready_at, l.run_id, l.job_no
         )
    into v_claims
    from leased l
    join wfg.runs r on r.id = l.run_id;

  return v_claims;
end;
$$;

comment on function wfg.lease(wfg.lane_share, text, integer, timestamptz) is
$$Lease the first ready jobs of a lane that nobody else has locked: a lost race falls on the next one.

A lease lasts until the earlier of its time to live and the timeout of the job. Null when there are none.$$;
create or replace function wfg.lease_first(
  p_lane      wfg.lane_head,
  p_worker_id text,
  p_ttl_secs  integer,
  p_now       timestamptz
)
  returns text[]
  language plpgsql
  volatile
as $$
declare
  v_lease wfg.granted_lease;
begin
  update wfg.queue q
     set lease_nonce = gen_random_uuid(),
         worker_id   = p_worker_id,
         ttl_secs    = p_ttl_secs,
         leased_at   = p_now,
         timeout_at  = p_now + make_interval(secs => s.timeout_secs),
         expires_at  = p_now + make_interval(secs => least(p_ttl_secs, s.timeout_secs)),
         held_from   = null
    from wfg.job_specs s,
         wfg.runs r
   where q.ctid = (
           select k.ctid
             from wfg.queue k
            where k.lane_id = p_lane.lane_id
              and k.lease_nonce is null
              and k.ready_at between p_lane.low_water_at and p_now
            order by k.ready_at, k.run_id, k.job_no
            limit 1
              for update skip locked
         )
     and s.version_id = q.version_id
     and s.job_no = q.job_no
     and r.id = q.run_id
  returning q.run_id, q.job_no, q.version_id, q.ready_at, q.enqueued_at, q.attempt,
            q.lease_nonce, q.worker_id, q.ttl_secs, q.leased_at, q.expires_at,
            s.key, s.parents, s.claim_fixed, s.claim_command,
            r.door, r.workflow_id, r.inputs
       into v_lease;

  if not found then
    return null;
  end if;

  return array[wfg.claim_json(v_lease)];
end;
$$;

comment on function wfg.lease_first(wfg.lane_head, text, integer, timestamptz) is
$$Lease the first ready job of a lane that nobody else has locked, in one statement.

Null when there is none, or when the one that it locked was written since the statement began: wfg.pick knows.$$;
create or replace function wfg.lease_id(
  p_run_id      uuid,
  p_job_no      integer,
  p_lease_nonce uuid
)
  returns text
  language plpgsql
  immutable
  parallel safe
as $$
begin
  return replace(p_run_id || '.' || p_job_no || '.' || p_lease_nonce, '-', '');
end;
$$;

comment on function wfg.lease_id(uuid, integer, uuid) is
'The opaque text that a worker holds: the key of the job, and the 122 random bits that are the fence.';
create or replace function wfg.let_go(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_held wfg.job_ref[];
begin
  -- Skip locked: whoever else has a held row locked is cancelling it. If that is undone, the row waits until this lease
  -- would have ended: a minute at most.
  with held as (
    select h.run_id, h.job_no
      from unnest(p_moves) c
      join wfg.queue l on l.run_id = c.run_id and l.job_no = c.job_no
      join wfg.runs o on o.id = l.run_id
      join wfg.runs r on r.namespace = o.namespace
       and r.active_workflow_id = o.workflow_id
      join wfg.job_specs s on s.version_id = r.version_id and s.key = l.cancelled_job_id
      join wfg.queue h on h.run_id = r.id and h.job_no = s.job_no
     where h.held_from is not null
       and not exists (
             select
               from wfg.queue other
              where other.cancelled_workflow_id = l.cancelled_workflow_id
                and other.cancelled_job_id = l.cancelled_job_id
                and other.expires_at > p_now
                and (other.run_id, other.job_no) <> (l.run_id, l.job_no)
           )
       for update of h skip locked
  ),
  free as (
    update wfg.queue q
       set ready_at  = q.held_from,
           held_from = null
      from held h
     where q.run_id = h.run_id
       and q.job_no = h.job_no
    returning q.run_id, q.job_no
  )
  select array_agg((f.run_id, f.job_no, false)::wfg.job_ref) into v_held from free f;

  perform wfg.lower_marks(v_held);
  perform wfg.wake_lanes(v_held, p_now);
end;
$$;

comment on function wfg.let_go(wfg.transition[], timestamptz) is
'Pull forward what these cancelled leases, about to end, hold back: to the time it would have been ready without them.';
create or replace function wfg.lock_class()
  returns integer
  language sql
  immutable
  parallel safe
as $$
  select 7824999;   -- 0x776667, 'wfg'
$$;

comment on function wfg.lock_class() is
$$The class of our advisory locks: pg_advisory_xact_lock(wfg.lock_class(), n).

1: lanes and label sets. 2: upkeep in a claim. hashtext('worker <id>'), hashtext('mark <lane>'): the first row of
one; only tried, never waited for. In the class above, a lane's number: who announces it; 0: the end of runs.$$;
create or replace function wfg.lock_door(p_workflow_id text)
  returns uuid
  language plpgsql
  volatile
as $$
begin
  -- wfg.insert_runs then writes this row. So a start whose snapshot is older (repeatable read) gets 40001: it would not
  -- see the cancelled leases of runs that began and ended since.
  return (
    select w.latest_run_id
      from wfg.workflows w
     where w.namespace = wfg.namespace()
       and w.id = p_workflow_id
       for no key update
  );
end;
$$;

comment on function wfg.lock_door(text) is
'Starts at the workflow door of a workflow go one at a time: the id of its latest run, null when there is none.';
create or replace function wfg.lock_lanes()
  returns void
  language plpgsql
  volatile
  set lock_timeout = 0                -- a claim that meets a new label set does wait for this
as $$
begin
  -- Who inserts a lane reads the label sets, who inserts a label set reads the lanes: one at a time, or two of
  -- them miss each other, and those workers never see that lane. Reading is for a statement after this one.
  perform pg_advisory_xact_lock(wfg.lock_class(), 1);

  -- Under REPEATABLE READ such a statement would still see the past. This one then fails instead, with 40001.
  update wfg.lanes l
     set priority = l.priority
   where l.id = (select min(f.id) from wfg.lanes f);
end;
$$;

comment on function wfg.lock_lanes() is
'The right to insert lanes and label sets, until the transaction ends. Known ones need no lock.';
create or replace function wfg.lock_lease(p_lease_id text)
  returns wfg.queue
  language plpgsql
  volatile
as $$
declare
  v_item constant wfg.report_item := wfg.report_item(p_lease_id, null, null, null, null);
  v_lease         wfg.queue;
begin
  select q.*
    into v_lease
    from wfg.queue q
   where q.run_id = v_item.run_id
     and q.job_no = v_item.job_no
     and q.lease_nonce is not distinct from v_item.lease_nonce
     for update;

  if not found then
    perform wfg.refuse_old_snapshot(v_item.run_id, v_item.job_no);
  end if;

  return v_lease;
end;
$$;

comment on function wfg.lock_lease(text) is
'The queue row of a lease, locked: live, cancelled, or over and not reaped yet. A null row: there is none.';
create or replace function wfg.lock_leases_holding(
  p_workflow_id text,
  p_version_id  bigint
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_refs wfg.job_ref[];
begin
  v_refs := array(
    select (q.run_id, q.job_no, false)::wfg.job_ref
      from wfg.job_specs s
      join wfg.queue q on q.cancelled_workflow_id = p_workflow_id and q.cancelled_job_id = s.key
     where s.version_id = p_version_id
       and s.parents = '{}'
     order by q.run_id, q.job_no
       for update of q
  );

  perform wfg.mark_holding(v_refs);
end;
$$;

comment on function wfg.lock_leases_holding(text, bigint) is
'Lock the cancelled leases that hold back the first jobs of a new run, so that an acknowledgement sees what it queues.';
create or replace function wfg.lock_narrow_jobs(p_moves wfg.transition[])
  returns void
  language plpgsql
  volatile
as $$
declare
  v_move constant wfg.transition := p_moves[1];
  v_doomed        wfg.job_ref[];
begin
  -- One job with nothing behind it: a third of the time of the general statement.
  if cardinality(p_moves) = 1 and v_move.narrow_children || v_move.wide_children = '{}' then
    if not v_move.is_wide then
      perform 1 from wfg.jobs j where j.run_id = v_move.run_id and j.job_no = v_move.job_no for update;
    end if;

    return;
  end if;

  if exists (select from unnest(p_moves) m where m.move in ('failure', 'cancelled')) then
    v_doomed := wfg.doomed(p_moves);
  end if;

  -- The sort stands between the join and the locks: rows are locked in key order, whatever the plan.
  perform 1
     from (
            select m.run_id, m.job_no
              from unnest(p_moves) m
             where not m.is_wide
            union
            select m.run_id, c.job_no
              from unnest(p_moves) m
             cross join lateral unnest(m.narrow_children) c (job_no)
             where m.move = 'success'
            union
            select d.run_id, d.job_no
              from unnest(v_doomed) d
             where not d.is_wide
          ) k
     join wfg.jobs j on j.run_id = k.run_id and j.job_no = k.job_no
    order by j.run_id, j.job_no
      for update of j;
end;
$$;

comment on function wfg.lock_narrow_jobs(wfg.transition[]) is
'First lock of every transition: the narrow ones among its jobs, their children, and what a final failure skips.';
create or replace function wfg.lock_queue_rows(p_moves wfg.transition[])
  returns void
  language plpgsql
  volatile
as $$
declare
  v_holding wfg.job_ref[];
begin
  if wfg.any_cancelled_lease() then
    v_holding := wfg.holding_leases(p_moves);
  end if;

  if cardinality(p_moves) = 1 and v_holding is null then
    perform 1 from wfg.queue q where q.run_id = p_moves[1].run_id and q.job_no = p_moves[1].job_no for update;

    return;
  end if;

  perform 1
     from (
            select m.run_id, m.job_no from unnest(p_moves) m
            union
            select h.run_id, h.job_no from unnest(v_holding) h
          ) k
     join wfg.queue q on q.run_id = k.run_id and q.job_no = k.job_no
    order by q.run_id, q.job_no
      for update of q;

  if v_holding is not null then
    perform wfg.mark_holding(v_holding);
  end if;
end;
$$;

comment on function wfg.lock_queue_rows(wfg.transition[]) is
'Second lock of a transition: its leases, and the cancelled leases that hold back what it may queue.';
create or replace function wfg.lock_run(p_run_id uuid)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_version_id constant bigint := (select r.version_id from wfg.runs r where r.id = p_run_id);
  v_locked              integer[];
begin
  perform 1
     from wfg.jobs j
     join wfg.job_specs s on s.version_id = v_version_id and s.job_no = j.job_no and not s.is_wide
    where j.run_id = p_run_id
      and j.state = 'queued'
    order by j.job_no
      for update of j;

  v_locked := array(
    select l.job_no
      from (
             select q.job_no
               from wfg.queue q
              where q.run_id = p_run_id
              order by q.job_no
                for update
           ) l
  );

  -- A wide job that ends is guarded by its queue row alone, and may have queued another one while we waited for it. Its
  -- row may lie below one that we hold: undo all locks, and begin again. With none left over, nothing here can move.
  if exists (select from wfg.queue q where q.run_id = p_run_id and q.job_no <> all (v_locked)) then
    raise sqlstate 'WFG01';
  end if;

  perform 1
     from wfg.jobs j
     join wfg.job_specs s on s.version_id = v_version_id and s.job_no = j.job_no and s.is_wide
    where j.run_id = p_run_id
      and j.state = 'queued'
    order by j.job_no
      for update of j;

  perform 1 from wfg.run_slots s where s.run_id = p_run_id order by s.slot for update;

  perform 1 from wfg.runs r where r.id = p_run_id for no key update;

  return true;
exception
  when sqlstate 'WFG01' then
    return false;
end;
$$;

comment on function wfg.lock_run(uuid) is
'Lock everything of a run that is still open, in the order of all transitions. False: it was outrun, holds
nothing, try again.';
create or replace function wfg.lock_wide_jobs(
  p_moves  wfg.transition[],
  p_doomed wfg.job_ref[],
  p_deltas wfg.job_delta[]
)
  returns void
  language plpgsql
  volatile
as $$
begin
  perform 1
     from (
            select m.run_id, m.job_no
              from unnest(p_moves) m
             where m.is_wide
            union
            select d.run_id, d.job_no from unnest(p_doomed) d where d.is_wide
            union
            select w.run_id, w.job_no from unnest(p_deltas) w
          ) k
     join wfg.jobs j on j.run_id = k.run_id and j.job_no = k.job_no
    order by j.run_id, j.job_no
      for update of j;
end;
$$;

comment on function wfg.lock_wide_jobs(wfg.transition[], wfg.job_ref[], wfg.job_delta[]) is
'Lock the wide jobs of a transition, after its join slots: those that end, are skipped, or had a slot emptied.';
create or replace function wfg.log_bytes(
  p_run_id uuid,
  p_job_no integer
)
  returns bigint
  language plpgsql
  volatile
as $$
begin
  return (
    select coalesce(sum(octet_length(c.data)), 0)
      from wfg.log_chunks c
     where c.run_id = p_run_id
       and c.job_no = p_job_no
  );
end;
$$;

comment on function wfg.log_bytes(uuid, integer) is
'How many bytes of log a job has, read from the log itself.';
create or replace function wfg.lower_marks(p_refs wfg.job_ref[])
  returns void
  language plpgsql
  volatile
as $$
begin
  if coalesce(cardinality(p_refs), 0) = 0 then
    return;
  end if;

  -- Never waits: a mark that cannot be lowered now is lowered by the next scan from the bottom.
  update wfg.lane_marks m
     set low_water_at = least(
           m.low_water_at,
           (
             select min(q.ready_at)
               from unnest(p_refs) r
               join wfg.queue q on q.run_id = r.run_id and q.job_no = r.job_no
              where q.lane_id = m.lane_id
           )
         )
   where m.lane_id in (
           select k.lane_id
             from wfg.lane_marks k
            where exists (
                    select
                      from unnest(p_refs) r
                      join wfg.queue q on q.run_id = r.run_id and q.job_no = r.job_no
                     where q.lane_id = k.lane_id
                       and q.ready_at < k.low_water_at
                  )
              for update skip locked
         );
end;
$$;

comment on function wfg.lower_marks(wfg.job_ref[]) is
'Tell the lanes of these queue rows, ready again since before, to start their claims that low.';
create or replace function wfg.mark_holding(p_leases wfg.job_ref[])
  returns void
  language plpgsql
  volatile
as $$
begin
  update wfg.queue q
     set cancelled_at = q.cancelled_at
    from unnest(p_leases) l
   where q.run_id = l.run_id
     and q.job_no = l.job_no;
end;
$$;

comment on function wfg.mark_holding(wfg.job_ref[]) is
$$Write cancelled leases, locked already, that hold back what is queued now. Nothing changes, but an acknowledgement
with an older snapshot (repeatable read), which would not see what to let go, gets 40001. A lock alone would not do.$$;
create or replace function wfg.max_uuid()
  returns uuid
  language plpgsql
  immutable
as $$
begin
  return 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid;
end;
$$;

comment on function wfg.max_uuid() is 'Greater than every run id.';
create or replace function wfg.nearest_name(
  p_name  text,
  p_names text[]
)
  returns text
  language plpgsql
  immutable
as $$
declare
  v_name     constant text := lower(left(p_name, 40));
  v_most              integer := (length(v_name) + 1) / 2;
  v_candidate         text;
  v_distance          integer;
  v_nearest           text;
begin
  foreach v_candidate in array coalesce(p_names, '{}') loop
    continue when v_candidate is null or abs(length(v_candidate) - length(v_name)) > v_most;

    v_distance := wfg.edit_distance(v_name, lower(v_candidate));

    if v_distance <= v_most then
      v_nearest := v_candidate;
      v_most := v_distance - 1;
    end if;
  end loop;

  return v_nearest;
end;
$$;

comment on function wfg.nearest_name(text, text[]) is
'The first of the names most like a mistyped one; null when more than half of its characters differ.';
create or replace function wfg.need_hint(
  p_name text,
  p_keys text[]
)
  returns text
  language plpgsql
  immutable
as $$
declare
  v_nearest text;
begin
  -- Of very many jobs only the likely ones are compared: a comparison takes about 50 microseconds.
  v_nearest := wfg.nearest_name(
    p_name,
    array(
      select k.key
        from unnest(p_keys) k (key)
       where cardinality(p_keys) <= 100
          or abs(length(k.key) - length(p_name)) <= 2
         and (left(k.key, 3) = left(p_name, 3) or right(k.key, 3) = right(p_name, 3))
       limit 100
    )
  );

  return coalesce('Did you mean ' || to_json(v_nearest) || '?', 'Write the key of a job of this workflow.');
end;
$$;

comment on function wfg.need_hint(text, text[]) is 'What to write instead of the name of a job that is not there.';
create or replace function wfg.next_run_id(
  p_latest uuid,
  p_now    timestamptz
)
  returns uuid
  language plpgsql
  volatile
as $$
declare
  v_latest_ms bigint;
begin
  if p_latest is null then
    return wfg.uuid_v7(p_now);
  end if;

  v_latest_ms := ('x' || left(replace(p_latest::text, '-', ''), 12))::bit(48)::bigint;

  return wfg.uuid_v7(greatest(p_now, to_timestamp((v_latest_ms + 1) / 1000.0)));
end;
$$;

comment on function wfg.next_run_id(uuid, timestamptz) is
'An id for a new run: of its time, and greater than p_latest (of the same workflow door; null: none), also when
the clock was set back.';
create or replace function wfg.normal_backoff(p_backoff json)
  returns jsonb
  language plpgsql
  immutable
as $$
declare
  v_exponential constant json := case json_typeof(p_backoff) when 'object' then p_backoff -> 'exponential' end;
begin
  if p_backoff is null or json_typeof(p_backoff) = 'string' then
    return '{"kind": "none"}'::jsonb;
  elsif v_exponential is null then
    return jsonb_build_object('kind', 'fixed', 'base_secs', p_backoff -> 'fixed');
  end if;

  return jsonb_build_object(
    'kind', 'exponential',
    'base_secs', v_exponential -> 'base',
    'max_secs', coalesce(v_exponential -> 'max', '3600'),
    'jitter', coalesce(v_exponential -> 'jitter', '0')
  );
end;
$$;

comment on function wfg.normal_backoff(json) is
'The normal form of the backoff of a job of a file, which must have no problems. Null: none.';
create or replace function wfg.normal_definition(p_definition json)
  returns jsonb
  language plpgsql
  immutable
as $$
declare
  v_env constant jsonb := wfg.env_object(p_definition -> 'env');
begin
  return jsonb_build_object(
    'name', p_definition ->> 'name',
    'trigger', wfg.trigger_text(p_definition -> 'on'),
    'inputs', wfg.normal_inputs(p_definition -> 'inputs'),
    'jobs', (
      select coalesce(jsonb_agg(wfg.normal_job(j.key, j.job, v_env) order by j.no), '[]')
        from json_each(p_definition -> 'jobs') with ordinality j (key, job, no)
    )
  );
end;
$$;

comment on function wfg.normal_definition(json) is 'The normal form of a file that has no problems.';
create or replace function wfg.normal_inputs(p_inputs json)
  returns jsonb
  language plpgsql
  immutable
as $$
begin
  if p_inputs is null then
    return '[]'::jsonb;
  end if;

  return (
    select coalesce(
             jsonb_agg(
               jsonb_build_object(
                 'name', i.name,
                 'type', coalesce(i.input ->> 'type', 'string'),
                 'default', i.input -> 'default',
                 'required', coalesce((i.input ->> 'required')::boolean, false),
                 'description', i.input ->> 'description',
                 'options', coalesce(i.input -> 'options', '[]')
               )
               order by i.no
             ),
             '[]'
           )
      from json_each(p_inputs) with ordinality i (name, input, no)
  );
end;
$$;

comment on function wfg.normal_inputs(json) is
'The normal form of the inputs of a file, which must have no problems. Null: none.';
create or replace function wfg.normal_job(
  p_key text,
  p_job json,
  p_env jsonb
)
  returns jsonb
  language plpgsql
  immutable
as $$
declare
  v_env    constant jsonb := p_env || wfg.env_object(p_job -> 'env');
  v_script constant text := wfg.build_script(p_job);
  v_needs  constant json := p_job -> 'needs';
begin
  return jsonb_build_object(
    'key', p_key,
    'name', coalesce(p_job ->> 'name', p_key),
    'needs', case json_typeof(v_needs)
      when 'array' then v_needs
      when 'string' then json_build_array(v_needs)
      else '[]'
    end,
    'labels', coalesce(p_job -> 'labels', '[]'),
    'priority', coalesce(p_job -> 'priority', '0'),
    'retries', coalesce(p_job -> 'retries', '0'),
    'lost_retries', coalesce(p_job -> 'lost_retries', '0'),
    'backoff', wfg.normal_backoff(p_job -> 'backoff'),
    'timeout_secs', p_job -> 'timeout',
    'env', v_env,
    'script', v_script,
    'command', wfg.exports(v_env) || v_script,
    'group', p_job ->> 'group',
    'metadata', coalesce(p_job -> 'metadata', '{}'),
    'ports', '[]'::jsonb,
    'children', null,
    'collapsed', false
  );
end;
$$;

comment on function wfg.normal_job(text, json, jsonb) is
'The normal form of a job of a file, which must have no problems. p_env: the file''s.';
create or replace function wfg.normal_listed_job(p_job json)
  returns jsonb
  language plpgsql
  immutable
as $$
begin
  return jsonb_build_object(
    'key', p_job ->> 'id',
    'name', p_job ->> 'name',
    'needs', p_job -> 'depends_on',
    'labels', coalesce(p_job -> 'required_labels', '[]'),
    'priority', 0,
    'retries', coalesce(p_job -> 'max_retries', '0'),
    'lost_retries', 0,
    'backoff', '{"kind": "none"}'::jsonb,
    'timeout_secs', null,
    'env', '{}'::jsonb,
    'script', p_job ->> 'command',
    'command', p_job ->> 'command',
    'group', null,
    'metadata', coalesce(p_job -> 'metadata', '{}'),
    'ports', coalesce(p_job -> 'ports', '[]'),
    'children', p_job -> 'children',
    'collapsed', coalesce(p_job -> 'collapsed', 'false')
  );
end;
$$;

comment on function wfg.normal_listed_job(json) is
'The normal form of a job of the API''s list, which must have no problems. Its command is taken as it is.';
create or replace function wfg.oldest_entry(
  p_lane_id integer,
  p_from    timestamptz
)
  returns timestamptz
  language plpgsql
  volatile
as $$
begin
  if p_lane_id = 0 then
    return (
      select q.expires_at
        from wfg.queue q
       where q.lease_nonce is not null
         and q.expires_at >= p_from
       order by q.expires_at
       limit 1
    );
  end if;

  return (
    select q.ready_at
      from wfg.queue q
     where q.lane_id = p_lane_id
       and q.lease_nonce is null
       and q.ready_at >= p_from
     order by q.ready_at
     limit 1
  );
end;
$$;

comment on function wfg.oldest_entry(integer, timestamptz) is
'The first ready_at of a lane from p_from on; for lane 0 the first expiry of a lease. Null: none.';
create or replace function wfg.parse_definition(
  p_definition json,
  p_lenient    boolean,
  out definition jsonb,
  out problems   json,
  out warnings   json
)
  language plpgsql
  immutable
  set jit = off
  set max_parallel_workers_per_gather = 0
as $$
declare
  v_problems wfg.definition_problem[] := array_remove(array[wfg.json_problem(p_definition)], null);
  v_nodes    wfg.definition_node[];
  v_keys     text[];
  v_needs    wfg.definition_need[];
begin
  if v_problems = '{}' and json_typeof(p_definition) <> 'object' then
    v_problems := array[
      (
        '{}', '', format('must be a mapping, found %s', wfg.describe_json(p_definition)),
        'Write jobs: {build: {run: make}}.', false
      )::wfg.definition_problem
    ];
  end if;

  if v_problems = '{}' then
    v_nodes := wfg.read_nodes('file', p_definition);
    v_keys := array(select n.key from unnest(v_nodes) n where n.level = 'jobs' order by n.place);
    v_needs := wfg.read_needs(v_nodes, v_keys);

    v_problems := array(
      select c from wfg.check_keys(v_nodes, p_lenient) c
      union all
      select c from wfg.check_values(v_nodes) c
      union all
      select c from wfg.check_inputs(v_nodes) c
      union all
      select c from wfg.check_jobs(v_nodes) c
      union all
      select c from wfg.check_needs(v_needs, v_keys) c
      union all
      select c from wfg.check_need_names(v_needs, v_keys) c
    );
  end if;

  if not exists (select from unnest(v_problems) p where not p.is_warning) then
    definition := wfg.normal_definition(p_definition);
    v_problems := v_problems || array(select c from wfg.check_commands(definition, v_nodes) c);
  end if;

  problems := wfg.problems_json(array(select p from unnest(v_problems) p where not p.is_warning));
  warnings := wfg.problems_json(array(select p from unnest(v_problems) p where p.is_warning));

  if json_array_length(problems) > 0 then
    definition := null;
  end if;
end;
$$;

comment on function wfg.parse_definition(json, boolean) is
$$The normal form (sql/README.md) of a workflow file, or all that is wrong with it at once.

p_lenient: unknown keys are warnings. problems, warnings: [{"path","message","hint"}].
definition is null when there are problems; its name is null when the file has none.$$;
create or replace function wfg.parse_job_list(
  p_name    text,
  p_trigger text,
  p_jobs    json,
  out definition jsonb,
  out problems   json
)
  language plpgsql
  immutable
  set jit = off
  set max_parallel_workers_per_gather = 0
as $$
declare
  v_problems wfg.definition_problem[] := array_remove(array[wfg.json_problem(p_jobs)], null);
  v_nodes    wfg.definition_node[];
  v_keys     text[];
begin
  if v_problems = '{}' then
    -- Unknown fields are ignored.
    v_nodes := array(
      select n
        from unnest(wfg.read_nodes('list', json_build_object('jobs', p_jobs))) n
       where n.key is null
          or exists (select from wfg.known_keys() k where k.level = n.level and k.key = n.key)
    );
    v_keys := array(
      select case when n.type = 'object' then n.value ->> 'id' end
        from unnest(v_nodes) n
       where n.level = 'listed_jobs'
         and cardinality(n.place) = 2
       order by n.place
    );

    v_problems := array(
      select c from wfg.check_keys(v_nodes, false) c
      union all
      select c from wfg.check_values(v_nodes) c
      union all
      select c from wfg.check_jobs(v_nodes) c
      union all
      select c from wfg.check_job_ids(v_keys) c
      union all
      select c from wfg.check_needs(wfg.read_needs(v_nodes, v_keys), v_keys) c
    );
  end if;

  problems := wfg.problems_json(v_problems);

  if v_problems = '{}' then
    definition := jsonb_build_object(
      'name', p_name,
      'trigger', p_trigger,
      'inputs', '[]'::jsonb,
      'jobs', (
        select coalesce(jsonb_agg(wfg.normal_listed_job(j.job) order by j.no), '[]')
          from json_array_elements(p_jobs) with ordinality j (job, no)
      )
    );
  end if;
end;
$$;

comment on function wfg.parse_job_list(text, text, json) is
$$The normal form (sql/README.md) of the API's job list, or all that is wrong with it at once.

Unknown fields, statuses, times and attempts are ignored. problems: [{"path","message","hint"}].
definition is null when there are problems.$$;
create or replace function wfg.peek(
  p_lanes wfg.lane_head[],
  p_limit integer,
  p_now   timestamptz
)
  returns wfg.lane_share[]
  language plpgsql
  volatile
as $$
begin
  if cardinality(p_lanes) = 1 then
    return array[(p_lanes[1].lane_id, p_lanes[1].low_water_at, p_limit)::wfg.lane_share];
  end if;

  return (
    select array_agg(
             (s.lane_id, s.low_water_at, s.jobs)::wfg.lane_share
             order by s.priority desc, s.ready_at, s.lane_id
           )
      from (
             select t.lane_id, t.low_water_at, t.priority, min(t.ready_at) as ready_at, count(*)::integer as jobs
               from (
                      select l.lane_id, l.low_water_at, l.priority, q.ready_at
                        from unnest(p_lanes) l
                       cross join lateral (
                               select q.ready_at, q.run_id, q.job_no
                                 from wfg.queue q
                                where q.lane_id = l.lane_id
                                  and q.lease_nonce is null
                                  and q.ready_at between l.low_water_at and p_now
                                order by q.ready_at, q.run_id, q.job_no
                                limit p_limit
                             ) q
                       order by l.priority desc, q.ready_at, q.run_id, q.job_no
                       limit p_limit
                    ) t
              group by t.lane_id, t.low_water_at, t.priority
           ) s
  );
end;
$$;

comment on function wfg.peek(wfg.lane_head[], integer, timestamptz) is
'How many of the first p_limit ready jobs lie in which lane, without a lock. A lone lane is not looked at: it
gives all.';
create or replace function wfg.pick(
  p_lanes     wfg.lane_head[],
  p_limit     integer,
  p_worker_id text,
  p_ttl_secs  integer,
  p_now       timestamptz
)
  returns text[]
  language plpgsql
  volatile
as $$
declare
  v_lanes  wfg.lane_head[] := p_lanes;
  v_shares wfg.lane_share[];
  v_share  wfg.lane_share;
  v_more   text[];
  v_claims text[];
begin
  while coalesce(cardinality(v_claims), 0) < p_limit and cardinality(v_lanes) > 0 loop
    v_shares := wfg.peek(v_lanes, p_limit - coalesce(cardinality(v_claims), 0), p_now);

    exit when v_shares is null;

    foreach v_share in array v_shares loop
      v_more := wfg.lease(v_share, p_worker_id, p_ttl_secs, p_now);
      v_claims := v_claims || v_more;

      -- A lane that gives less than it showed is used up: the rest is locked or gone. Others may make up for it.
      if coalesce(cardinality(v_more), 0) < v_share.jobs then
        v_lanes := array(
          select l
            from unnest(v_lanes) l
           where l.lane_id <> v_share.lane_id
        );
      end if;
    end loop;
  end loop;

  return v_claims;
end;
$$;

comment on function wfg.pick(wfg.lane_head[], integer, text, integer, timestamptz) is
$$Lease up to p_limit ready jobs of these lanes: highest priority first, then longest ready, then by key.

The heads of the lanes are peeked without locks to learn how many each gives. Null when there is nothing.$$;
create or replace function wfg.plan_reports(p_items wfg.report_item[])
  returns wfg.transition[]
  language plpgsql
  volatile
as $$
begin
  return (
    select array_agg(
             (
               i.ord,
               case
                 when i.outcome in ('success', 'release') then i.outcome
                 when i.retryable and q.attempt - q.lost < s.retries then 'retry'
                 else 'failure'
               end,
               'failure',
               q.run_id, q.job_no, q.version_id,
               s.is_wide, s.in_wide_run, s.narrow_children, s.wide_children,
               q.attempt, q.lost, q.lane_id, q.worker_id, q.leased_at, q.lease_nonce,
               case
                 when i.outcome = 'failure' then
                   wfg.retry_delay(s.backoff, s.backoff_base, s.backoff_max, s.backoff_jitter, q.attempt + 1)
               end,
               i.outputs, i.error
             )::wfg.transition
           )
      from unnest(p_items) i
      join wfg.queue q
        on q.run_id = i.run_id
       and q.job_no = i.job_no
       and q.lease_nonce is not distinct from i.lease_nonce
      join wfg.job_specs s on s.version_id = q.version_id and s.job_no = q.job_no
  );
end;
$$;

comment on function wfg.plan_reports(wfg.report_item[]) is
'What each report does if its lease is live: success, failure, retry or release. Null when no lease is known.';
create or replace function wfg.problems_json(p_problems wfg.definition_problem[])
  returns json
  language plpgsql
  immutable
as $$
declare
  v_most constant integer := 100;
begin
  return (
    select coalesce(
             json_agg(
               json_build_object(
                 'path', p.path,
                 'message', case when p.no > v_most then 'and ' || p.total - v_most || ' more' else p.message end,
                 'hint', case when p.no > v_most then 'Mend these first.' else p.hint end
               )
               order by p.no
             ),
             '[]'
           )
      from (
        select u.path, u.message, u.hint,
               row_number() over (order by u.place, u.path collate "C", u.message collate "C") as no,
               count(*) over () as total
          from unnest(p_problems) u
      ) p
     where p.no <= v_most + 1
  );
end;
$$;

comment on function wfg.problems_json(wfg.definition_problem[]) is
'[{"path","message","hint"}] in the order of the file. After the first hundred, one that says how many more.';
create or replace function wfg.prune_label_sets(p_before timestamptz)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_count integer;
begin
  delete from wfg.label_sets l
   where l.id in (
           select k.id
             from wfg.label_sets k
            where k.used_at < p_before
              for update skip locked
         );
  get diagnostics v_count = row_count;

  return v_count;
end;
$$;

comment on function wfg.prune_label_sets(timestamptz) is
'Forget label sets that no worker claimed with since. Answers how many.';
create or replace function wfg.prune_runs(
  p_before timestamptz,
  p_limit  integer
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_runs uuid[];
begin
  -- A run with a queue row left has a cancelled lease that its worker may still acknowledge.
  v_runs := array(
    select r.id
      from wfg.runs r
     where r.finished_at < p_before
       and r.id < wfg.uuid_v7(p_before)     -- it was made before it ended: no look at what is younger
       and not exists (select from wfg.queue q where q.run_id = r.id)
     order by r.id
     limit p_limit
       for update skip locked
  );

  delete from wfg.jobs j using unnest(v_runs) k (run_id) where j.run_id = k.run_id;
  delete from wfg.runs r using unnest(v_runs) k (run_id) where r.id = k.run_id;

  return cardinality(v_runs);
end;
$$;

comment on function wfg.prune_runs(timestamptz, integer) is
'Delete up to p_limit runs that ended before, oldest first, with all that hangs on them. Answers how many.';
create or replace function wfg.prune_workers(p_before timestamptz)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_count integer;
begin
  delete from wfg.workers w
   where (w.namespace, w.id) in (
           select k.namespace, k.id
             from wfg.workers k
            where k.last_seen_at < p_before
              and not exists (select from wfg.queue q where q.lease_nonce is not null and q.worker_id = k.id)
              for update skip locked
         );
  get diagnostics v_count = row_count;

  return v_count;
end;
$$;

comment on function wfg.prune_workers(timestamptz) is
'Forget workers not heard of since, that hold no lease. Answers how many.';
create or replace function wfg.quote_shell(p_text text)
  returns text
  language sql
  immutable
  strict
  parallel safe
as $$
  select '''' || replace(p_text, '''', '''\''''') || '''';
$$;

comment on function wfg.quote_shell(text) is 'A text as one word of a POSIX shell, whatever is in it.';
create or replace function wfg.read_needs(
  p_nodes wfg.definition_node[],
  p_keys  text[]
)
  returns wfg.definition_need[]
  language plpgsql
  immutable
  set enable_nestloop = off
as $$
begin
  return array(
    with job as materialized (
      select k.key, min(k.no)::integer as no
        from unnest(p_keys) with ordinality k (key, no)
       group by k.key
    )
    select row(n.place, n.path, n.place[2], n.value #>> '{}', j.no)::wfg.definition_need
      from unnest(p_nodes) n
      left join job j on j.key = n.value #>> '{}'
     where n.type = 'string'
       and (n.level = 'needs' and cardinality(n.place) = 4 or n.level = 'job' and n.key = 'needs')
  );
end;
$$;

comment on function wfg.read_needs(wfg.definition_node[], text[]) is
'The dependencies in a definition, as far as they are strings. p_keys: the keys of its jobs, in its order.';
create or replace function wfg.read_nodes(
  p_level text,
  p_value json
)
  returns wfg.definition_node[]
  language plpgsql
  immutable
as $$
begin
  return array(
    with recursive known as materialized (
      select k.level, k.key, k.items, k.members
        from wfg.known_keys() k
    ),
    node as (
      select '{}'::integer[] as place, ''::text as path, null::text as level, null::text as key, p_value as value,
             wfg.json_type(p_value) as type, p_level as members
      union all
      select n.place || m.no::integer,
             n.path || case
               when n.type = 'array' then '[' || m.no - 1 || ']'
               when m.key ~ '^[^]".[:space:][]{1,80}$' then case n.path when '' then '' else '.' end || m.key
               else '[' || to_json(wfg.shorten(m.key))::text || ']'
             end,
             n.members,
             m.key,
             m.value,
             m.type,
             case m.type when 'array' then k.items when 'object' then k.members end
        from node n
       cross join lateral (
         select o.no, o.key, o.value, wfg.json_type(o.value) as type, o.key as known_as
           from json_each(case n.type when 'object' then n.value end) with ordinality o (key, value, no)
         union all
         select a.no, null, a.value, wfg.json_type(a.value), '*'
           from json_array_elements(case n.type when 'array' then n.value end) with ordinality a (value, no)
       ) m
        left join known k
          on k.level = n.members
         and k.key = case when n.members in ('inputs', 'jobs', 'env') then '*' else m.known_as end
       where n.members is not null
         and cardinality(n.place) < 12          -- children within children within …
    )
    select row(n.place, n.path, n.level, n.key, n.value, n.type, n.members)::wfg.definition_node
      from node n
  );
end;
$$;

comment on function wfg.read_nodes(text, json) is
$$Every value of a definition that wfg.known_keys() speaks of, and every unknown key, with its place and path.

p_level: file or list. Duplicate keys give a node each. The JSON must be such that jsonb can hold it.$$;
create or replace function wfg.read_reports(p_reports jsonb)
  returns wfg.report_item[]
  language plpgsql
  volatile
as $$
begin
  -- The lease ids as in wfg.report_item: a call of it for each would cost more than the rest.
  return array(
    select (
             r.ord,
             case when l.is_ours then split_part(l.id, '.', 1)::uuid end,
             case when l.is_ours then split_part(l.id, '.', 2)::integer end,
             case when l.is_ours then split_part(l.id, '.', 3)::uuid end,
             r.item ->> 'outcome',
             case
               when r.item -> 'outcome' = '"success"' then coalesce(nullif(r.item -> 'outputs', 'null'), '{}')
               else '{}'
             end,
             case when r.item -> 'outcome' = '"failure"' then right(r.item ->> 'error', 65536) end,
             coalesce((r.item ->> 'retryable')::boolean, false)
           )::wfg.report_item
      from jsonb_array_elements(p_reports) with ordinality r (item, ord)
     cross join lateral (
             select r.item ->> 'lease_id' as id, wfg.is_lease_id(r.item ->> 'lease_id') as is_ours
             offset 0
           ) l
     order by r.ord
  );
end;
$$;

comment on function wfg.read_reports(jsonb) is
'The reports of a batch that wfg.check_reports let pass. An error is kept with a failure only, outputs with a success.';
create or replace function wfg.read_run_items(
  p_workflow_id text,
  p_items       jsonb,
  p_started_by  text,
  p_reason      text,
  p_now         timestamptz
)
  returns wfg.runs[]
  language plpgsql
  volatile
as $$
declare
  v_run  wfg.runs;
  v_runs wfg.runs[] := '{}'::wfg.runs[];
  v_item jsonb;
  v_no   integer := 0;
begin
  v_run.namespace := wfg.namespace();
  v_run.workflow_id := p_workflow_id;
  v_run.door := 'run';
  v_run.started_by := p_started_by;
  v_run.reason := p_reason;

  for v_item in select i.item from jsonb_array_elements(p_items) with ordinality i (item, ord) order by i.ord loop
    -- Ids in the order sent: a microsecond is more than the resolution of a UUID version 7.
    v_run.id := wfg.uuid_v7(p_now + v_no * interval '1 microsecond');
    v_run.inputs := coalesce(nullif(v_item -> 'inputs', 'null'), '{}');
    v_run.start_at := to_timestamp((v_item ->> 'start_at_ms')::numeric / 1000);
    v_run.idempotency_key := v_item ->> 'idempotency_key';
    v_run.request_hash := null;

    if v_run.idempotency_key is not null then
      v_run.request_hash := wfg.request_hash(v_run.inputs, v_run.start_at);
    end if;

    v_runs[v_no + 1] := v_run;
    v_no := v_no + 1;
  end loop;

  return v_runs;
end;
$$;

comment on function wfg.read_run_items(text, jsonb, text, text, timestamptz) is
'The runs that these items ask for, in their order; inputs as sent.';
create or replace function wfg.reap_expired_leases(p_limit integer)
  returns wfg.transition[]
  language plpgsql
  volatile
as $$
declare
  v_moves constant wfg.transition[] := wfg.expired_leases(p_limit, '-infinity', '{}', wfg.now());
begin
  if v_moves is null then
    return null;
  end if;

  perform wfg.lock_narrow_jobs(v_moves);
  perform wfg.lock_queue_rows(v_moves);

  return wfg.reap_locked_leases(v_moves, wfg.now());
end;
$$;

comment on function wfg.reap_expired_leases(integer) is
'End up to p_limit leases that are over, waiting for the locks it needs, in the order of all transitions.';
create or replace function wfg.reap_locked_leases(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns wfg.transition[]
  language plpgsql
  volatile
as $$
declare
  v_moves wfg.transition[];
begin
  -- Picked without a lock, checked again under it: renewed, reported or cancelled meanwhile is none of ours.
  select array_agg(m order by m.run_id, m.job_no)
    into v_moves
    from unnest(p_moves) m
    join wfg.queue q
      on q.run_id = m.run_id
     and q.job_no = m.job_no
     and q.lease_nonce is not distinct from m.lease_nonce
   where q.expires_at <= p_now
     and (q.cancelled_at is not null) = (m.move = 'acknowledge');

  if v_moves is null then
    return null;
  end if;

  perform wfg.apply(v_moves, p_now);

  return v_moves;
end;
$$;

comment on function wfg.reap_locked_leases(wfg.transition[], timestamptz) is
'End those of these leases that are over at p_now, now that they are locked. Answers what was done; null: nothing.';
create or replace function wfg.reap_unlocked_leases(
  p_limit integer,
  p_now   timestamptz
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_mark constant wfg.lane_marks := (select m from wfg.lane_marks m where m.lane_id = 0);
  v_moves         wfg.transition[];
  v_group         wfg.transition[];
  v_locked        wfg.transition[];
  v_blocked       uuid[] := '{}'::uuid[];
  v_ended         integer := 0;
begin
  -- What one run's locks hold up must not hold up the others: look again, without the runs that were blocked.
  for v_turn in 1 .. 3 loop
    v_locked := null;
    v_moves := wfg.expired_leases(p_limit - v_ended, coalesce(v_mark.low_water_at, '-infinity'), v_blocked, p_now);

    -- The final failures of a run in one set: they skip the same jobs.
    for v_group in
      select array_agg(m)
        from unnest(v_moves) m
       group by m.run_id, case when m.move <> 'failure' then m.job_no end
    loop
      if wfg.try_lock_leases(v_group) then
        v_locked := v_locked || v_group;
      else
        v_blocked := v_blocked || v_group[1].run_id;
      end if;
    end loop;

    perform wfg.reap_locked_leases(v_locked, p_now);
    v_ended := v_ended + coalesce(cardinality(v_locked), 0);

    exit when v_ended >= p_limit or cardinality(v_locked) is not distinct from cardinality(v_moves);
  end loop;

  perform wfg.refresh_marks(
    array[(0, 0, v_mark.low_water_at, v_mark.scanned_at, v_mark.refreshed_at)::wfg.lane_head],
    p_now
  );

  return v_ended;
end;
$$;

comment on function wfg.reap_unlocked_leases(integer, timestamptz) is
$$End leases that are over without waiting for anything: what cannot be locked whole is left for the next turn.

Answers how many were ended.$$;
create or replace function wfg.refresh_mark(
  p_lane_id integer,
  p_now     timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_mark   wfg.lane_marks;
  v_oldest timestamptz;
begin
  insert into wfg.lane_marks (lane_id, low_water_at, refreshed_at, scanned_at)
  select p_lane_id, '-infinity', '-infinity', p_now
   where not exists (select from wfg.lane_marks m where m.lane_id = p_lane_id)
     and pg_try_advisory_xact_lock(wfg.lock_class(), hashtext('mark ' || p_lane_id))
      on conflict do nothing;

  select m.*
    into v_mark
    from wfg.lane_marks m
   where m.lane_id = p_lane_id
     and (m.refreshed_at <= p_now - interval '1 second' or m.refreshed_at > p_now)
     for update skip locked;

  if v_mark.lane_id is null then
    return;
  end if;

  -- Entries may come to lie below the mark: their time is read before they are committed, and others are released.
  -- So each eighth scan or so is from the bottom: what commits late waits for 10 seconds at most.
  if v_mark.scanned_at <= p_now - interval '8 seconds' or v_mark.scanned_at > p_now then
    v_mark.scanned_at := p_now;
    v_mark.low_water_at := '-infinity';
  end if;

  v_oldest := wfg.oldest_entry(p_lane_id, v_mark.low_water_at);

  update wfg.lane_marks m
     set low_water_at = least(v_oldest, p_now - interval '0.5 seconds'),
         refreshed_at = p_now,
         scanned_at   = v_mark.scanned_at
   where m.lane_id = p_lane_id;
end;
$$;

comment on function wfg.refresh_mark(integer, timestamptz) is
$$Set the mark of a lane (0: of the leases) to its oldest entry, or half a second ago: what is queued may commit late.

At most once a second per lane, by whoever gets the row; nobody waits for it.$$;
create or replace function wfg.refresh_marks(
  p_lanes wfg.lane_head[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_lane wfg.lane_head;
begin
  if cardinality(p_lanes) > 16 then
    p_lanes := array(
      select l
        from unnest(p_lanes) l
       order by l.refreshed_at <= p_now nulls first, l.refreshed_at
       limit 16
    );
  end if;

  foreach v_lane in array p_lanes loop
    -- One from the future is left from before the clock was set back.
    if v_lane.refreshed_at is null or p_now - v_lane.refreshed_at not between '0' and interval '1 second' then
      perform wfg.refresh_mark(v_lane.lane_id, p_now);
    end if;
  end loop;
end;
$$;

comment on function wfg.refresh_marks(wfg.lane_head[], timestamptz) is
$$Refresh those marks of these lanes that are a second old: 16 at most, for one claim must not pay for hundreds.

The oldest first: else the first lanes would be due again before the last ones get their turn.$$;
create or replace function wfg.refusal(p_item wfg.report_item)
  returns wfg.report_answer
  language plpgsql
  volatile
as $$
declare
  v_message text := 'lease_not_held';
begin
  -- A repeat of an accepted report is told by the nonce that was kept with the job or the attempt.
  if exists (
       select
         from wfg.jobs j
        where j.run_id = p_item.run_id
          and j.job_no = p_item.job_no
          and j.lease_nonce = p_item.lease_nonce
     )
     or exists (
       select
         from wfg.attempts a
        where a.run_id = p_item.run_id
          and a.job_no = p_item.job_no
          and a.lease_nonce = p_item.lease_nonce
          and a.reported_at is not null
     )
  then
    v_message := 'already_reported';
  elsif exists (
       select
         from wfg.queue q
        where q.run_id = p_item.run_id
          and q.job_no = p_item.job_no
          and q.lease_nonce is not distinct from p_item.lease_nonce
          and q.cancelled_at is not null
          and q.expires_at > wfg.now()
     )
  then
    v_message := 'lease_cancelled';
  else
    perform wfg.refuse_old_snapshot(p_item.run_id, p_item.job_no);
  end if;

  return (
    p_item.ord,
    false,
    v_message,
    (
      select wfg.job_state(j.state, q.lease_nonce)
        from wfg.jobs j
        left join wfg.queue q on q.run_id = j.run_id and q.job_no = j.job_no and q.cancelled_at is null
       where j.run_id = p_item.run_id
         and j.job_no = p_item.job_no
    ),
    wfg.run_state(p_item.run_id)
  )::wfg.report_answer;
end;
$$;

comment on function wfg.refusal(wfg.report_item) is
'Why a report was not accepted: already_reported, lease_cancelled or lease_not_held.';
create or replace function wfg.refuse_lease(
  p_message text,
  p_job     text
)
  returns void
  language plpgsql
  volatile
as $$
begin
  raise sqlstate 'PT409' using
    message = p_message,
    detail  = coalesce('The job is ' || p_job || '.', 'There is no such lease.'),
    hint    = case p_message
      when 'lease_not_held' then 'Stop working: the job may already be running elsewhere.'
      when 'lease_cancelled' then 'Stop working, and acknowledge with fail or release.'
      when 'already_reported' then 'Take the report for delivered.'
    end;
end;
$$;

comment on function wfg.refuse_lease(text, text) is
'Raise the 409 of a lease that does not hold: lease_not_held, lease_cancelled or already_reported, with the
job''s state.';
create or replace function wfg.refuse_old_snapshot(
  p_run_id uuid,
  p_job_no integer
)
  returns void
  language plpgsql
  volatile
as $$
begin
  if current_setting('transaction_isolation') = 'read committed' then
    return;
  end if;

  -- Locking what changed since the snapshot raises 40001; so does a job that the snapshot has never seen.
  perform 1 from wfg.jobs j where j.run_id = p_run_id and j.job_no = p_job_no for update;
  perform 1 from wfg.queue q where q.run_id = p_run_id and q.job_no = p_job_no for update;
  perform 1 from wfg.runs r where r.id = p_run_id for no key update;

  if not found and p_run_id > wfg.uuid_v7(transaction_timestamp() - interval '1 minute') then
    raise sqlstate '40001' using
      message = 'snapshot_too_old',
      detail  = 'The run may be younger than the snapshot of this transaction.',
      hint    = 'Retry the transaction; the engine expects READ COMMITTED.';
  end if;
end;
$$;

comment on function wfg.refuse_old_snapshot(uuid, integer) is
$$Under REPEATABLE READ and SERIALIZABLE: raise 40001 when this job, its lease or its run may have changed since the
snapshot of the transaction. To be called before a refusal for good: what the caller holds may be younger.$$;
create or replace function wfg.refuse_problems(p_problems json)
  returns void
  language plpgsql
  immutable
as $$
begin
  if json_array_length(p_problems) > 0 then
    raise sqlstate 'PT422' using
      message = 'invalid_workflow',
      detail  = p_problems::text,
      hint    = 'Each member of details says where (path), what (message), and what to write instead (hint).';
  end if;
end;
$$;

comment on function wfg.refuse_problems(json) is 'Refuse a definition that has problems: 422 invalid_workflow.';
create or replace function wfg.release_children(
  p_moves  wfg.transition[],
  p_deltas wfg.job_delta[],
  p_now    timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_ready wfg.job_ref[];
begin
  with counted as (
    update wfg.jobs j
       set parents_left = j.parents_left - n.parents
      from (
             select m.run_id, c.job_no, count(*)::integer as parents
               from unnest(p_moves) m
              cross join lateral unnest(m.narrow_children) c (job_no)
              where m.move = 'success'
              group by m.run_id, c.job_no
             union all
             select d.run_id, d.job_no, d.delta
               from unnest(p_deltas) d
           ) n
     where j.run_id = n.run_id
       and j.job_no = n.job_no
       and j.state = 'queued'
    returning j.run_id, j.job_no, j.parents_left
  )
  select array_agg((c.run_id, c.job_no, false)::wfg.job_ref)
    into v_ready
    from counted c
   where c.parents_left = 0;

  if v_ready is not null then
    perform wfg.enqueue(v_ready, p_now);
  end if;
end;
$$;

comment on function wfg.release_children(wfg.transition[], wfg.job_delta[], timestamptz) is
'Count the children of the successes down (wide ones by the slots emptied), and queue those that wait for
nothing more.';
create or replace function wfg.report(p_items wfg.report_item[])
  returns wfg.report_answer[]
  language plpgsql
  volatile
as $$
declare
  v_moves wfg.transition[];
  v_now   timestamptz;
begin
  -- What each report would do if its lease is live. Graphs are immutable, and so is the attempt of a lease: what is
  -- read here without a lock can only turn out to be over, never to be different.
  v_moves := wfg.plan_reports(case when cardinality(p_items) > 1 then wfg.first_reports(p_items) else p_items end);

  if v_moves is not null then
    perform wfg.lock_narrow_jobs(v_moves);
    perform wfg.lock_queue_rows(v_moves);

    v_now := wfg.now();
    v_moves := wfg.confirm_reports(v_moves, v_now);
    perform wfg.apply(v_moves, v_now);
    perform wfg.touch_worker(w.id, null, v_now)
       from (select distinct m.worker_id as id from unnest(v_moves) m) w;
  end if;

  return wfg.answer_reports(p_items, v_moves);
end;
$$;

comment on function wfg.report(wfg.report_item[]) is
$$Complete, fail and release, for one lease or many, in one transaction. An item whose lease does not hold
changes nothing.

Answers in the order of ord.$$;
create or replace function wfg.report_item(
  p_lease_id  text,
  p_outcome   text,
  p_outputs   jsonb,
  p_error     text,
  p_retryable boolean
)
  returns wfg.report_item
  language plpgsql
  immutable
as $$
begin
  if wfg.is_lease_id(p_lease_id) then
    return (
      1,
      split_part(p_lease_id, '.', 1)::uuid,
      split_part(p_lease_id, '.', 2)::integer,
      split_part(p_lease_id, '.', 3)::uuid,
      p_outcome, p_outputs, p_error, p_retryable
    )::wfg.report_item;
  end if;

  return (1, null, null, null, p_outcome, p_outputs, p_error, p_retryable)::wfg.report_item;
end;
$$;

comment on function wfg.report_item(text, text, jsonb, text, boolean) is
'A lone report with its lease id taken apart (null when it is not of our form), as wfg.read_reports does for many.';
create or replace function wfg.report_one(
  p_lease_id  text,
  p_outcome   text,
  p_outputs   jsonb,
  p_error     text,
  p_retryable boolean
)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_item constant wfg.report_item := wfg.report_item(p_lease_id, p_outcome, p_outputs, p_error, p_retryable);
  v_answer         json;
  v_answers        wfg.report_answer[];
begin
  if p_outcome = 'success' then
    v_answer := wfg.complete_one(v_item);

    if v_answer is not null then
      return v_answer;
    end if;
  end if;

  v_answers := wfg.report(array[v_item]);

  if not v_answers[1].ok then
    perform wfg.refuse_lease(v_answers[1].message, v_answers[1].job);
  end if;

  return json_build_object('job', v_answers[1].job, 'run', v_answers[1].run);
end;
$$;

comment on function wfg.report_one(text, text, jsonb, text, boolean) is
'Report one lease, and raise the 409 when it does not hold. Answers {"job","run"}, their states.';
create or replace function wfg.request_hash(
  p_inputs   jsonb,
  p_start_at timestamptz
)
  returns bytea
  language plpgsql
  immutable
as $$
begin
  return sha256(convert_to(p_inputs::text || ' ' || coalesce(wfg.epoch_ms(p_start_at)::text, ''), 'UTF8'));
end;
$$;

comment on function wfg.request_hash(jsonb, timestamptz) is
'What tells a repeat of a start with an idempotency key from another request: inputs and start time, as sent.';
create or replace function wfg.requeue(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  insert into wfg.attempts (
    run_id, job_no, attempt, outcome, worker_id, lease_nonce, started_at, finished_at, reported_at, error
  )
  select m.run_id, m.job_no, m.attempt, m.outcome, m.worker_id, m.lease_nonce, m.leased_at, p_now,
         case when m.outcome = 'failure' then p_now end, m.error
    from unnest(p_moves) m
   where m.move = 'retry';

  -- What was given back never happened: its log goes, and its turn does not.
  delete from wfg.log_chunks c
   using unnest(p_moves) m
   where m.move = 'release'
     and c.run_id = m.run_id
     and c.job_no = m.job_no
     and c.attempt = m.attempt;

  update wfg.queue q
     set log_bytes   = case m.move when 'release' then wfg.log_bytes(q.run_id, q.job_no) else q.log_bytes end,
         attempt     = case m.move when 'retry' then m.attempt + 1 else m.attempt end,
         lost        = m.lost,
         ready_at    = case m.move when 'retry' then p_now + m.retry_after else q.ready_at end,
         enqueued_at = case m.move when 'retry' then p_now else q.enqueued_at end,
         lease_nonce = null,
         worker_id   = null,
         ttl_secs    = null,
         leased_at   = null,
         expires_at  = null,
         timeout_at  = null
    from unnest(p_moves) m
   where q.run_id = m.run_id
     and q.job_no = m.job_no;

  perform wfg.lower_marks(
    array(select (m.run_id, m.job_no, m.is_wide)::wfg.job_ref from unnest(p_moves) m where m.move = 'release')
  );
  perform wfg.wake_lanes(
    array(select (m.run_id, m.job_no, m.is_wide)::wfg.job_ref from unnest(p_moves) m),
    p_now
  );
end;
$$;

comment on function wfg.requeue(wfg.transition[], timestamptz) is
'Retries (counted, with their attempt kept and the backoff waited) and releases (given back: nothing consumed).';
create or replace function wfg.reset_marks(
  p_lanes        wfg.lane_head[],
  p_low_water_at timestamptz,
  p_now          timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  update wfg.lane_marks m
     set low_water_at = p_low_water_at,
         scanned_at   = p_now
   where m.lane_id in (
           select k.lane_id
             from unnest(p_lanes) l
             join wfg.lane_marks k on k.lane_id = l.lane_id
              for update of k skip locked
         );
end;
$$;

comment on function wfg.reset_marks(wfg.lane_head[], timestamptz, timestamptz) is
'These lanes were looked at from the bottom: set their marks. Never waits.';
create or replace function wfg.resolve_inputs(
  p_field    text,
  p_declared jsonb,
  p_inputs   jsonb
)
  returns jsonb
  language plpgsql
  immutable
as $$
declare
  v_input    jsonb;
  v_value    jsonb;
  v_inputs   jsonb := '{}'::jsonb;
  v_problems text[];
begin
  if p_inputs = '{}' and p_declared = '[]' then
    return p_inputs;
  end if;

  if jsonb_typeof(p_inputs) is distinct from 'object' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = p_field || ': must be an object of input names and values',
      hint    = 'Send {} for none.';
  end if;

  v_problems := array(
    select format('%s.%s: the workflow has no such input', p_field, wfg.shorten(k.name))
      from jsonb_object_keys(p_inputs) k (name)
     where not exists (select from jsonb_array_elements(p_declared) d where d ->> 'name' = k.name)
  );

  for v_input in select d from jsonb_array_elements(p_declared) d loop
    v_value := coalesce(nullif(p_inputs -> (v_input ->> 'name'), 'null'), nullif(v_input -> 'default', 'null'));

    if v_value is null then
      if (v_input ->> 'required')::boolean then
        v_problems := v_problems || format('%s.%s: is required', p_field, v_input ->> 'name');
      end if;
    else
      v_value := wfg.convert_input(v_input, v_value);

      if v_value is null then
        v_problems := v_problems || format(
          '%s.%s: must be %s, not %s',
          p_field,
          v_input ->> 'name',
          case v_input ->> 'type'
            when 'choice' then 'one of ' || (v_input ->> 'options')
            else 'a ' || (v_input ->> 'type')
          end,
          left((p_inputs -> (v_input ->> 'name'))::text, 100)
        );
      else
        v_inputs := v_inputs || jsonb_build_object(v_input ->> 'name', v_value);
      end if;
    end if;
  end loop;

  if v_problems <> '{}' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = array_to_string(v_problems[:20], '; ')
                || coalesce('; and ' || nullif(greatest(cardinality(v_problems) - 20, 0), 0) || ' more', ''),
      hint    = 'The workflow''s inputs are listed by wfg_get_workflow.';
  end if;

  return v_inputs;
end;
$$;

comment on function wfg.resolve_inputs(text, jsonb, jsonb) is
$$The inputs of a run: as sent, converted to their declared types, with defaults filled in.

p_field: how they are called in errors. p_declared: the inputs of the version.
Errors: 422 invalid_request, naming every unknown, missing and ill-typed input.$$;
create or replace function wfg.resolve_run(p_id text)
  returns wfg.runs
  language plpgsql
  stable
as $$
declare
  v_run wfg.runs;
begin
  if wfg.is_run_id(p_id) then
    select r.* into v_run from wfg.runs r where r.id = p_id::uuid;
  else
    select r.*
      into v_run
      from wfg.workflows w
      join wfg.runs r on r.id = w.latest_run_id
     where w.namespace = wfg.namespace()
       and w.id = p_id;
  end if;

  return v_run;
end;
$$;

comment on function wfg.resolve_run(text) is
'The run that an id means: a run''s own, or for a workflow''s id its latest run of the workflow door. A null
row: none.';
create or replace function wfg.retry_delay(
  p_backoff text,
  p_base    integer,
  p_max     integer,
  p_jitter  numeric,
  p_retry   integer
)
  returns interval
  language plpgsql
  volatile
as $$
declare
  v_secs double precision;
begin
  v_secs := case p_backoff
    when 'fixed' then p_base
    -- The exponent is bounded only to stay inside a double; p_max is the bound that counts.
    when 'exponential' then least(p_base * power(2::double precision, least(p_retry - 1, 64)), p_max)
    else 0
  end;

  return make_interval(secs => v_secs * (1 - random() * p_jitter));
end;
$$;

comment on function wfg.retry_delay(text, integer, integer, numeric, integer) is
'How long to wait before the p_retry-th retry (1, 2, …): none, base, or min(base·2^(n-1), max) seconds, times a
random factor in [1 - jitter, 1].';
create or replace function wfg.run_in_the_way(p_run wfg.runs)
  returns wfg.runs
  language plpgsql
  volatile
as $$
declare
  v_run wfg.runs;
begin
  if p_run.idempotency_key is not null then
    select r.*
      into v_run
      from wfg.runs r
     where r.namespace = p_run.namespace
       and r.workflow_id = p_run.workflow_id
       and r.idempotency_key = p_run.idempotency_key;
  else
    select r.*
      into v_run
      from wfg.runs r
     where r.namespace = p_run.namespace
       and r.active_workflow_id = p_run.workflow_id;
  end if;

  return v_run;
end;
$$;

comment on function wfg.run_in_the_way(wfg.runs) is
'The run that kept this one from being inserted: of its idempotency key, or active at the workflow door. A null
row: it is gone.';
create or replace function wfg.run_json(
  p_run  wfg.runs,
  p_jobs json
)
  returns json
  language plpgsql
  stable
as $$
begin
  return (
    select json_build_object(
             'run_id', p_run.id,
             'workflow_id', p_run.workflow_id,
             'version', v.version,
             'name', v.name,
             'state', wfg.run_state(p_run.id),
             'door', p_run.door,
             'inputs', p_run.inputs,
             'created_at_ms', wfg.epoch_ms(p_run.created_at),
             'start_at_ms', wfg.epoch_ms(p_run.start_at),
             'started_at_ms', wfg.run_started_at_ms(p_run.id),
             'finished_at_ms', wfg.epoch_ms(p_run.finished_at),
             'idempotency_key', p_run.idempotency_key,
             'started_by', p_run.started_by,
             'reason', p_run.reason,
             'cancelled_by', p_run.cancelled_by,
             'cancel_reason', p_run.cancel_reason,
             'jobs', p_jobs
           )
      from wfg.workflow_versions v
     where v.id = p_run.version_id
  );
end;
$$;

comment on function wfg.run_json(wfg.runs, json) is
'A Run (sql/README.md, Run). p_jobs null: without its jobs.';
create or replace function wfg.run_outcome(p_run_id uuid)
  returns text
  language plpgsql
  volatile
as $$
begin
  if exists (select from wfg.jobs j where j.run_id = p_run_id and j.state in ('failure', 'cancelled')) then
    return 'failure';
  end if;

  return 'success';
end;
$$;

comment on function wfg.run_outcome(uuid) is
'The outcome of a run whose last job has ended. Volatile, so that it reads in a fresh snapshot.';
create or replace function wfg.run_started_at_ms(p_run_id uuid)
  returns bigint
  language plpgsql
  stable
as $$
begin
  return wfg.epoch_ms(
    least(
      (select min(j.started_at) from wfg.jobs j where j.run_id = p_run_id),
      (select min(q.leased_at) from wfg.queue q where q.run_id = p_run_id),
      (select min(a.started_at) from wfg.attempts a where a.run_id = p_run_id)
    )
  );
end;
$$;

comment on function wfg.run_started_at_ms(uuid) is
'When a job of the run was first leased, as far as that is still known: a lease given back leaves no trace.
Null: never.';
create or replace function wfg.run_state(p_run_id uuid)
  returns text
  language plpgsql
  stable
as $$
declare
  v_state text;
begin
  select r.state into v_state from wfg.runs r where r.id = p_run_id;

  if v_state is distinct from 'active' then
    return v_state;
  end if;

  if exists (
       select
         from wfg.queue q
        where q.run_id = p_run_id
          and (q.lease_nonce is not null or q.attempt > 0)
     )
     or exists (select from wfg.jobs j where j.run_id = p_run_id and j.state <> 'queued')
  then
    return 'running';
  end if;

  return 'queued';
end;
$$;

comment on function wfg.run_state(uuid) is
'A run''s state on the wire: queued until a job of it was first leased, then running to its end. Null: no such run.';
create or replace function wfg.runs_before(
  p_before      uuid,
  p_workflow_id text,
  p_state       text,
  p_limit       integer
)
  returns wfg.runs[]
  language plpgsql
  stable
  set enable_sort = off
as $$
begin
  if p_workflow_id is null then
    return array(
      select r
        from wfg.runs r
       where r.id < p_before
         and r.namespace || '' = wfg.namespace()   -- not by an index: they come in the order of their ids
         and (p_state is null or r.state = p_state)
       order by r.id desc
       limit p_limit
    );
  end if;

  return array(
    select r
      from wfg.runs r
     where r.namespace = wfg.namespace()
       and r.workflow_id = p_workflow_id
       and r.id < p_before
       and (p_state is null or r.state = p_state)
     order by r.id desc
     limit p_limit
  );
end;
$$;

comment on function wfg.runs_before(uuid, text, text, integer) is
'Runs with smaller ids, newest first. p_workflow_id, p_state (as stored): null for all.';
create or replace function wfg.runs_to_insert(
  p_runs     wfg.runs[],
  p_declared jsonb
)
  returns wfg.runs[]
  language plpgsql
  volatile
as $$
begin
  return array(
    select (
             r.id, r.version_id, r.created_at, r.start_at, r.finished_at, r.open_left, r.state, r.door, r.namespace,
             r.workflow_id, wfg.resolve_inputs(format('p_runs[%s].inputs', r.ord - 1), p_declared, r.inputs),
             r.idempotency_key, r.request_hash, r.started_by, r.reason, r.cancelled_by, r.cancel_reason,
             r.active_workflow_id
           )::wfg.runs
      from (
             select i.*, row_number() over (partition by i.idempotency_key order by i.ord) as nth
               from unnest(p_runs) with ordinality i (
                      id, version_id, created_at, start_at, finished_at, open_left, state, door, namespace, workflow_id,
                      inputs, idempotency_key, request_hash, started_by, reason, cancelled_by, cancel_reason,
                      active_workflow_id, ord
                    )
           ) r
     where r.idempotency_key is null
        or r.nth = 1
       and not exists (
             select
               from wfg.runs e
              where e.namespace = r.namespace
                and e.workflow_id = r.workflow_id
                and e.idempotency_key = r.idempotency_key
           )
  );
end;
$$;

comment on function wfg.runs_to_insert(wfg.runs[], jsonb) is
$$Those of these runs whose idempotency key is not known yet (the first of each key, and all without one), their inputs
resolved: a repeat is known by what was sent, also when the workflow has other inputs by now.

p_declared: the inputs of the version. Errors: 422 invalid_request, naming the item and the input.$$;
create or replace function wfg.settle(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_any_bad      boolean;
  v_any_narrow   boolean;
  v_any_wide     boolean;
  v_any_wide_own boolean;
  v_doomed       wfg.job_ref[];
  v_deltas       wfg.job_delta[];
  v_ended        wfg.ended_job[];
begin
  select bool_or(m.move <> 'success'),
         bool_or(m.move = 'success' and m.narrow_children <> '{}'),
         bool_or(m.move = 'success' and m.wide_children <> '{}'),
         bool_or(m.is_wide)
    into v_any_bad, v_any_narrow, v_any_wide, v_any_wide_own
    from unnest(p_moves) m;

  if v_any_bad then
    v_doomed := wfg.doomed(p_moves);
  end if;

  -- The locks still missing: join slots, then wide jobs. Narrow jobs and leases were locked by the caller.
  if v_any_wide then
    v_deltas := wfg.count_down_joins(p_moves);
  end if;

  if v_any_wide_own or v_deltas is not null or v_doomed is not null then
    perform wfg.lock_wide_jobs(p_moves, v_doomed, v_deltas);
  end if;

  v_ended := wfg.end_jobs(p_moves, p_now);

  if v_doomed is not null then
    v_ended := v_ended || wfg.skip_jobs(v_doomed, p_moves, p_now);
  end if;

  if v_any_narrow or v_deltas is not null then
    perform wfg.release_children(p_moves, v_deltas, p_now);
  end if;

  perform wfg.count_down_runs(v_ended, p_now);
end;
$$;

comment on function wfg.settle(wfg.transition[], timestamptz) is
$$The one place where jobs end: their children are counted down and queued, what cannot run any more is skipped, and
their runs are counted down and ended. Complete, fail, cancel one and reap call it, over a set locked beforehand.$$;
create or replace function wfg.shorten(p_text text)
  returns text
  language sql
  immutable
  parallel safe
as $$
  select case when length(p_text) > 80 then left(p_text, 77) || '…' else p_text end;
$$;

comment on function wfg.shorten(text) is 'At most 80 characters of a user''s text, to be shown in a message.';
create or replace function wfg.skip_jobs(
  p_doomed wfg.job_ref[],
  p_moves  wfg.transition[],
  p_now    timestamptz
)
  returns wfg.ended_job[]
  language plpgsql
  volatile
as $$
declare
  v_skipped wfg.ended_job[];
begin
  with skipped as (
    update wfg.jobs j
       set state       = 'skipped',
           finished_at = p_now
      from unnest(p_doomed) d
     where j.run_id = d.run_id
       and j.job_no = d.job_no
       and j.state = 'queued'
    returning j.run_id, j.job_no
  )
  select array_agg((s.run_id, s.job_no, m.in_wide_run)::wfg.ended_job)
    into v_skipped
    from skipped s
    join (
           select distinct on (e.run_id) e.run_id, e.in_wide_run
             from unnest(p_moves) e
            order by e.run_id
         ) m on m.run_id = s.run_id;

  return v_skipped;
end;
$$;

comment on function wfg.skip_jobs(wfg.job_ref[], wfg.transition[], timestamptz) is
'Skip those of the doomed that have not ended. p_moves: what doomed them, of the same runs. Answers those that
were skipped.';
create or replace function wfg.sort_jobs(
  p_count    integer,
  p_children integer[],
  p_parents  integer[],
  out numbers integer[],
  out cycles  jsonb
)
  language plpgsql
  immutable
as $$
declare
  v_edges    constant integer := coalesce(cardinality(p_children), 0);
  v_edge              integer[] := array_fill(0, array[p_count]);   -- of each job: the edge to follow next, or 0
  v_is_open           boolean[] := array_fill(false, array[p_count]);
  v_stack             integer[] := '{}'::integer[];
  v_depth             integer := 0;
  v_number            integer := 0;
  v_job               integer;
  v_parent            integer;
begin
  numbers := array_fill(0, array[p_count]);
  cycles := '[]';

  for e in reverse v_edges .. 1 loop
    v_edge[p_children[e]] := e;
  end loop;

  -- Depth first: a job gets its number after its parents. With a stack of our own, for chains of any length.
  for v_root in 1 .. p_count loop
    continue when numbers[v_root] > 0;

    v_depth := 1;
    v_stack[1] := v_root;
    v_is_open[v_root] := true;

    while v_depth > 0 loop
      v_job := v_stack[v_depth];

      if v_edge[v_job] = 0 then
        v_number := v_number + 1;
        numbers[v_job] := v_number;
        v_is_open[v_job] := false;
        v_depth := v_depth - 1;
        continue;
      end if;

      v_parent := p_parents[v_edge[v_job]];
      v_edge[v_job] := case
        when v_edge[v_job] < v_edges and p_children[v_edge[v_job] + 1] = v_job then v_edge[v_job] + 1
        else 0
      end;

      if v_is_open[v_parent] then
        if jsonb_array_length(cycles) < 10 then
          cycles := cycles || jsonb_build_array(
            to_jsonb(v_stack[array_position(v_stack, v_parent) : v_depth] || v_parent)
          );
        end if;
      elsif numbers[v_parent] = 0 then
        v_depth := v_depth + 1;
        v_stack[v_depth] := v_parent;
        v_is_open[v_parent] := true;
      end if;
    end loop;
  end loop;
end;
$$;

comment on function wfg.sort_jobs(integer, integer[], integer[]) is
$$Topological numbers of the jobs 1 .. p_count: a child's is greater than its parents'. What needs nothing that stands
after it keeps the order of the file.

p_children, p_parents: the edges, sorted by child, then parent; no job is its own parent.
cycles: the first ten, each from a job to itself: [[1,2,1]]; numbers mean nothing then.$$;
create or replace function wfg.sorted_labels(p_labels text[])
  returns text[]
  language plpgsql
  immutable
as $$
begin
  if cardinality(p_labels) <= 1 then
    return p_labels;
  end if;

  return array(select distinct l.label collate "C" from unnest(p_labels) l (label) order by 1);
end;
$$;

comment on function wfg.sorted_labels(text[]) is
'Labels as lanes and label sets have them: sorted by code point, distinct.';
create or replace function wfg.source_jobs(
  p_source json,
  out display_no integer,
  out metadata   json,
  out ports      json,
  out children   json
)
  returns setof record
  language plpgsql
  immutable
as $$
declare
  v_jobs constant json := p_source -> 'jobs';
begin
  return query
  select j.no::integer, j.job -> 'metadata', j.job -> 'ports', nullif(j.job ->> 'children', 'null')::json
    from (
      select o.no, o.job
        from json_each(case json_typeof(v_jobs) when 'object' then v_jobs end) with ordinality o (key, job, no)
      union all
      select a.no, a.job
        from json_array_elements(case json_typeof(v_jobs) when 'array' then v_jobs end) with ordinality a (job, no)
    ) j;
end;
$$;

comment on function wfg.source_jobs(json) is
'What of a definition''s jobs is kept with the order of its keys, which the normal form does not have.';
create or replace function wfg.start_run(p_run wfg.runs)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_now     timestamptz;
  v_latest  uuid;
  v_version wfg.workflow_versions;
  v_earlier wfg.runs;
begin
  p_run.namespace := wfg.namespace();

  if p_run.idempotency_key is not null then
    p_run.request_hash := wfg.request_hash(p_run.inputs, p_run.start_at);

    -- A repeat is known by what was sent: the workflow may have other inputs by now, or be deleted.
    v_earlier := wfg.run_in_the_way(p_run);

    if v_earlier.id is not null then
      return wfg.earlier_run_json(v_earlier, p_run);
    end if;
  end if;

  v_version := wfg.current_version(p_run.workflow_id);
  p_run.version_id := v_version.id;
  p_run.inputs := wfg.resolve_inputs('p_inputs', v_version.inputs, p_run.inputs);

  -- A conflict is with a run that is committed; by the next statement it may be over, and the way free again.
  for v_try in 1 .. 10 loop
    if p_run.door = 'workflow' then
      v_latest := wfg.lock_door(p_run.workflow_id);
      v_earlier := wfg.run_in_the_way(p_run);

      if v_earlier.id is not null then
        perform wfg.refuse_old_snapshot(v_earlier.id, null);

        return wfg.earlier_run_json(v_earlier, p_run);
      end if;
    end if;

    v_now := wfg.now();
    p_run.id := wfg.next_run_id(v_latest, v_now);

    if wfg.insert_runs(array[p_run], v_version, v_now) <> '{}' then
      return json_build_object(
        'run_id', p_run.id,
        'workflow_id', p_run.workflow_id,
        'version', v_version.version,
        'created', true
      );
    end if;

    v_earlier := wfg.run_in_the_way(p_run);

    if v_earlier.id is not null then
      return wfg.earlier_run_json(v_earlier, p_run);
    end if;
  end loop;

  raise sqlstate '40001' using
    message = 'could_not_start',
    detail  = 'Another run stood in the way again and again, and was gone when looked for.',
    hint    = 'Retry the call.';
end;
$$;

comment on function wfg.start_run(wfg.runs) is
$$Start a run of the current version of a workflow, or find the one that this request already started.

p_run: workflow_id, door, inputs as sent, start_at, idempotency_key, started_by, reason.
Answers {"run_id","workflow_id","version","created"}.$$;
create or replace function wfg.start_runs(
  p_workflow_id text,
  p_items       jsonb,
  p_started_by  text,
  p_reason      text
)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_version constant wfg.workflow_versions := wfg.current_version(p_workflow_id);
  v_now              timestamptz := wfg.now();
  v_runs             wfg.runs[];
  v_answer           json;
begin
  v_runs := wfg.read_run_items(p_workflow_id, p_items, p_started_by, p_reason, v_now);

  -- As in wfg.start_run: who stood in the way may be gone by the next statement.
  for v_try in 1 .. 10 loop
    perform wfg.insert_runs(wfg.runs_to_insert(v_runs, v_version.inputs), v_version, v_now);

    v_answer := wfg.started_runs_json(v_runs, v_version.version);

    if v_answer is not null then
      return v_answer;
    end if;

    v_now := wfg.now();
  end loop;

  raise sqlstate '40001' using
    message = 'could_not_start',
    detail  = 'Another run stood in the way again and again, and was gone when looked for.',
    hint    = 'Retry the call.';
end;
$$;

comment on function wfg.start_runs(text, jsonb, text, text) is
'Start many runs, of items that wfg.check_run_items let pass. Answers what wfg_start_runs does.';
create or replace function wfg.started_runs_json(
  p_runs    wfg.runs[],
  p_version integer
)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_answers text[];
begin
  select coalesce(
           array_agg(
             case
               when r.idempotency_key is null or e.id = r.id then
                 '{"ok":true,"run_id":"' || r.id || '","version":' || p_version || ',"created":true}'
               when e.request_hash <> r.request_hash then
                 '{"ok":false,"message":"idempotency_key_reused","run_id":"' || e.id || '"}'
               else '{"ok":true,"run_id":"' || e.id || '","version":' || e.version || ',"created":false}'
             end
             order by r.ord
           ),
           '{}'::text[]
         )
    into v_answers
    from unnest(p_runs) with ordinality r (
           id, version_id, created_at, start_at, finished_at, open_left, state, door, namespace, workflow_id, inputs,
           idempotency_key, request_hash, started_by, reason, cancelled_by, cancel_reason, active_workflow_id, ord
         )
    left join lateral (
           select f.id, f.request_hash, v.version
             from wfg.runs f
             join wfg.workflow_versions v on v.id = f.version_id
            where f.namespace = r.namespace
              and f.workflow_id = r.workflow_id
              and f.idempotency_key = r.idempotency_key
         ) e on true;

  if array_position(v_answers, null) is not null then
    return null;
  end if;

  return ('[' || array_to_string(v_answers, ',') || ']')::json;
end;
$$;

comment on function wfg.started_runs_json(wfg.runs[], integer) is
$$The answer of wfg_start_runs, in the order of p_runs; null when a run that kept one of them from being inserted is
gone already.$$;
create or replace function wfg.store_chunks(
  p_lease  wfg.queue,
  p_chunks jsonb
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_dropped integer;
  v_bytes   bigint;
begin
  with sent as (
    -- Through numeric: 1.0 is a whole number too.
    select distinct on (c.sequence) c.sequence::bigint, c.timestamp_ms::bigint, c.stream, c.data
      from jsonb_to_recordset(p_chunks) c (sequence numeric, timestamp_ms numeric, stream text, data text)
     order by c.sequence
  ),
  fresh as (
    select s.*,
           p_lease.log_bytes + sum(octet_length(s.data)) over (order by s.sequence) as bytes_then
      from sent s
     where not exists (
             select
               from wfg.log_chunks l
              where l.run_id = p_lease.run_id
                and l.job_no = p_lease.job_no
                and l.attempt = p_lease.attempt
                and l.sequence = s.sequence
              offset 0          -- one probe each; an anti-join may scan the whole log for each
           )
  ),
  stored as (
    insert into wfg.log_chunks (run_id, job_no, attempt, sequence, timestamp_ms, stream, data)
    select p_lease.run_id, p_lease.job_no, p_lease.attempt, f.sequence, f.timestamp_ms, f.stream, f.data
      from fresh f
     where f.bytes_then <= wfg.max_log_bytes()
    union all
    -- The first that does not fit leaves the marker in its place; log_bytes over the cap says that it is there.
    select p_lease.run_id, p_lease.job_no, p_lease.attempt, m.sequence, m.timestamp_ms, 'stderr',
           format(E'[wfg: the log of this job is longer than %s bytes; the rest is not kept]\n', wfg.max_log_bytes())
      from (
             select f.sequence, f.timestamp_ms
               from fresh f
              where f.bytes_then > wfg.max_log_bytes()
                and p_lease.log_bytes <= wfg.max_log_bytes()
              order by f.sequence
              limit 1
           ) m
  )
  select count(*) filter (where f.bytes_then > wfg.max_log_bytes()),
         case
           when bool_or(f.bytes_then > wfg.max_log_bytes()) then wfg.max_log_bytes() + 1
           else max(f.bytes_then)
         end
    into v_dropped, v_bytes
    from fresh f;

  if v_bytes is not null then
    update wfg.queue q
       set log_bytes = v_bytes
     where q.run_id = p_lease.run_id
       and q.job_no = p_lease.job_no;
  end if;

  return v_dropped;
end;
$$;

comment on function wfg.store_chunks(wfg.queue, jsonb) is
'Keep the chunks that are not kept yet, as far as they fit; the lease''s row is locked. Answers how many did not fit.';
create or replace function wfg.store_version(
  p_workflow_id text,
  p_source      json,
  p_definition  jsonb,
  out version_id bigint,
  out version    integer,
  out changed    boolean
)
  language plpgsql
  volatile
as $$
declare
  v_workflow wfg.workflows;
  v_now      timestamptz;
begin
  -- Two first puts at once: the second waits here for the first, then finds its row.
  insert into wfg.workflows (namespace, id, version, created_at, updated_at)
  values (wfg.namespace(), p_workflow_id, 1, wfg.now(), wfg.now())
      on conflict on constraint workflows_pkey do nothing;

  select w.*
    into strict v_workflow
    from wfg.workflows w
   where w.namespace = wfg.namespace()
     and w.id = p_workflow_id
     for update;

  v_now := wfg.now();

  select v.id, v.version, v.definition <> p_definition or v_workflow.deleted_at is not null
    into version_id, version, changed
    from wfg.workflow_versions v
   where v.namespace = v_workflow.namespace
     and v.workflow_id = v_workflow.id
     and v.version = v_workflow.version;

  if not changed then
    return;
  end if;

  changed := true;
  version := coalesce(version + 1, 1);

  insert into wfg.workflow_versions (
    namespace, workflow_id, version, name, trigger, source, definition, inputs, job_count, created_at
  )
  values (
    v_workflow.namespace, v_workflow.id, version, p_definition ->> 'name', p_definition ->> 'trigger', p_source,
    p_definition, p_definition -> 'inputs', jsonb_array_length(p_definition -> 'jobs'), v_now
  )
  returning id into version_id;

  perform wfg.add_lanes(p_definition);
  perform wfg.insert_job_specs(version_id, p_source, p_definition);

  update wfg.workflows w
     set version = store_version.version,
         updated_at = v_now,
         deleted_at = null
   where w.namespace = v_workflow.namespace
     and w.id = v_workflow.id;
end;
$$;

comment on function wfg.store_version(text, json, jsonb) is
$$Make a normal form the current version of a workflow. The same again makes no new version, unless the workflow was
deleted: then it is there again, with its next version.

p_source: as it was sent, a file or {"name","trigger","jobs"} with the API's job list.$$;
create or replace function wfg.tg_jobs__guard_move()
  returns trigger
  language plpgsql
as $$
begin
  raise sqlstate 'PT500' using
    message = 'illegal_move',
    detail  = format('job %s of run %s: %s -> %s', old.job_no, old.run_id, old.state, new.state),
    hint    = 'This is a bug in the engine: please report it.';
end;
$$;

comment on function wfg.tg_jobs__guard_move() is 'Raise illegal_move: 40_triggers.sql lists the legal ones.';
create or replace function wfg.tg_runs__guard_move()
  returns trigger
  language plpgsql
as $$
begin
  raise sqlstate 'PT500' using
    message = 'illegal_move',
    detail  = format('run %s: %s -> %s', old.id, old.state, new.state),
    hint    = 'This is a bug in the engine: please report it.';
end;
$$;

comment on function wfg.tg_runs__guard_move() is 'Raise illegal_move: 40_triggers.sql lists the legal ones.';
create or replace function wfg.touch_worker(
  p_worker_id text,
  p_labels    text[],
  p_now       timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_worker wfg.workers;
begin
  select w.*
    into v_worker
    from wfg.workers w
   where w.namespace = wfg.namespace()
     and w.id = p_worker_id;

  if v_worker.id is null then
    -- Met at a claim. Whoever else meets it now will write it: nobody waits for a worker's row.
    if p_labels is not null
       and pg_try_advisory_xact_lock(wfg.lock_class(), hashtext('worker ' || p_worker_id))
    then
      insert into wfg.workers (namespace, id, labels, registered_at, last_seen_at)
      values (wfg.namespace(), p_worker_id, p_labels, p_now, p_now)
          on conflict do nothing;
    end if;
  elsif v_worker.last_seen_at < p_now - interval '5 seconds'
     or v_worker.labels is distinct from coalesce(p_labels, v_worker.labels)
  then
    update wfg.workers w
       set last_seen_at = greatest(w.last_seen_at, p_now),
           labels       = coalesce(p_labels, w.labels)
     where (w.namespace, w.id) in (
             select k.namespace, k.id
               from wfg.workers k
              where k.namespace = v_worker.namespace
                and k.id = v_worker.id
                for update skip locked
           );
  end if;
end;
$$;

comment on function wfg.touch_worker(text, text[], timestamptz) is
$$Note that a worker was heard of: at most every 5 seconds, last in the transaction, and without waiting.

p_labels: those it claims with; null when unknown. An unknown worker is registered by its first claim.$$;
create or replace function wfg.trigger_text(p_on json)
  returns text
  language plpgsql
  immutable
as $$
begin
  return case json_typeof(p_on)
    when 'string' then 'on: ' || (p_on #>> '{}')
    when 'array' then
      (select 'on: [' || string_agg(e.name, ', ' order by e.no) || ']'
         from json_array_elements_text(p_on) with ordinality e (name, no))
    when 'object' then
      (select 'on: [' || string_agg(e.name, ', ' order by e.no) || ']'
         from json_object_keys(p_on) with ordinality e (name, no))
    else 'manual'
  end;
end;
$$;

comment on function wfg.trigger_text(json) is
'The display text of a file''s `on`: `on: push`, `on: [push, schedule]`; without one `manual`. It triggers nothing.';
create or replace function wfg.try_lock_jobs(
  p_jobs wfg.job_ref[],
  p_wide boolean
)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_locked integer;
begin
  select count(*)
    into v_locked
    from (
           select
             from unnest(p_jobs) k
             join wfg.jobs j on j.run_id = k.run_id and j.job_no = k.job_no
            where k.is_wide = p_wide
              for update of j skip locked
         ) l;

  return v_locked = (select count(*) from unnest(p_jobs) k where k.is_wide = p_wide);
end;
$$;

comment on function wfg.try_lock_jobs(wfg.job_ref[], boolean) is
'Lock the wide ones, or the narrow ones, of these jobs without waiting. False: some are locked.';
create or replace function wfg.try_lock_leases(p_moves wfg.transition[])
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_jobs  wfg.job_ref[];
  v_slots smallint[];
begin
  -- A retry, and the end of a cancelled lease, touch nothing but the queue row.
  if p_moves[1].move <> 'failure' then
    return wfg.try_lock_queue_rows(p_moves);
  end if;

  v_jobs := array(
    select distinct k.ref
      from (
             select (m.run_id, m.job_no, m.is_wide)::wfg.job_ref as ref from unnest(p_moves) m
             union all
             select d from unnest(wfg.doomed(p_moves)) d
           ) k
  );

  if p_moves[1].in_wide_run then
    v_slots := array(select distinct (j.job_no % 16)::smallint from unnest(v_jobs) j);
  end if;

  return wfg.try_lock_jobs(v_jobs, false)
     and wfg.try_lock_queue_rows(p_moves)
     and wfg.try_lock_jobs(v_jobs, true)
     and wfg.try_lock_run(p_moves[1].run_id, v_slots);
end;
$$;

comment on function wfg.try_lock_leases(wfg.transition[]) is
$$Lock all that the end of these leases touches, in the order of all transitions, without waiting. False: some of it is
locked.

p_moves: one lease, or final failures of one run.$$;
create or replace function wfg.try_lock_queue_rows(p_moves wfg.transition[])
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_locked integer;
begin
  select count(*)
    into v_locked
    from (
           select
             from unnest(p_moves) m
             join wfg.queue q on q.run_id = m.run_id and q.job_no = m.job_no
              for update of q skip locked
         ) l;

  return v_locked = cardinality(p_moves);
end;
$$;

comment on function wfg.try_lock_queue_rows(wfg.transition[]) is
'Lock these leases without waiting. False: some are locked, or gone.';
create or replace function wfg.try_lock_run(
  p_run_id uuid,
  p_slots  smallint[]
)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_locked integer;
begin
  select count(*)
    into v_locked
    from (
           select
             from unnest(p_slots) k (slot)
             join wfg.run_slots s on s.run_id = p_run_id and s.slot = k.slot
              for update of s skip locked
         ) l;

  if v_locked < coalesce(cardinality(p_slots), 0) then
    return false;
  end if;

  perform 1 from wfg.runs r where r.id = p_run_id for no key update skip locked;

  return found;
end;
$$;

comment on function wfg.try_lock_run(uuid, smallint[]) is
'Lock a run, with these of its slots, without waiting. p_slots: null when it is not wide. False: some are locked.';
create or replace function wfg.unknown_lanes(p_definition jsonb)
  returns wfg.lanes[]
  language plpgsql
  stable
as $$
begin
  return array(
    select row(null, wfg.namespace(), w.labels, w.priority)::wfg.lanes
      from (
        select distinct
               wfg.sorted_labels(array(select jsonb_array_elements_text(j.job -> 'labels'))) as labels,
               (j.job -> 'priority')::integer as priority
          from jsonb_array_elements(p_definition -> 'jobs') j (job)
      ) w
     where not exists (
             select
               from wfg.lanes l
              where l.namespace = wfg.namespace()
                and l.labels = w.labels
                and l.priority = w.priority
           )
  );
end;
$$;

comment on function wfg.unknown_lanes(jsonb) is
'The lanes that the jobs of a normal form need and that are not there yet.';
create or replace function wfg.upkeep_if_due(p_now timestamptz)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_reaped integer;
begin
  -- A time further ahead is left from before the clock was set back.
  if pg_sequence_last_value('wfg.upkeep_due_ms') - wfg.epoch_ms(p_now) between 1 and 250
     and not wfg.clock_is_set()
  then
    return false;
  end if;

  if not pg_try_advisory_xact_lock(wfg.lock_class(), 2) then
    return false;
  end if;

  v_reaped := wfg.reap_unlocked_leases(100, p_now);

  -- A full turn means that more is waiting.
  if not wfg.clock_is_set() then
    perform setval('wfg.upkeep_due_ms', wfg.epoch_ms(p_now) + case when v_reaped < 100 then 250 else 0 end);
  end if;

  return v_reaped > 0;
end;
$$;

comment on function wfg.upkeep_if_due(timestamptz) is
$$Upkeep carried by claims: up to 100 expired leases, at most every 250 ms for the whole database, by one claimer.

A session with its own clock does it in every claim, and leaves the common time alone. Whether there was any.$$;
create or replace function wfg.upstream_outputs(
  p_run_id     uuid,
  p_version_id bigint,
  p_parents    integer[],
  out outputs  jsonb,
  out omitted  text[],
  out has_any  boolean
)
  returns record
  language plpgsql
  stable
as $$
begin
  -- A claim must not fail, nor take minutes, for what one job's parents handed on.
  select coalesce(jsonb_object_agg(h.key, h.outputs) filter (where h.bytes_then <= wfg.max_upstream_bytes()), '{}'),
         coalesce(array_agg(h.key order by h.ord) filter (where h.bytes_then > wfg.max_upstream_bytes()), '{}'),
         bool_or(h.outputs <> '{}')
    into outputs, omitted, has_any
    from (
           select s.key, p.ord, o.outputs,
                  sum(octet_length(o.outputs::text)) over (order by p.ord) as bytes_then
             from unnest(p_parents) with ordinality p (job_no, ord)
            cross join lateral (
                    select n.key
                      from wfg.job_specs n
                     where n.version_id = p_version_id
                       and n.job_no = p.job_no
                    offset 0             -- else the join may begin with all jobs of the version
                  ) s
            cross join lateral (
                    select coalesce(j.outputs, b.outputs, '{}') as outputs
                      from wfg.jobs j
                      left join wfg.outputs b on b.run_id = j.run_id and b.job_no = j.job_no
                     where j.run_id = p_run_id
                       and j.job_no = p.job_no
                    offset 0
                  ) o
         ) h;
end;
$$;

comment on function wfg.upstream_outputs(uuid, bigint, integer[]) is
$$The outputs of a job's direct parents, {"test":{"coverage":"94%"}}, as far as they fit wfg.max_upstream_bytes().

omitted: the keys of the parents whose outputs did not fit. has_any: whether any parent handed on anything.$$;
create or replace function wfg.uuid_v7(p_at timestamptz)
  returns uuid
  language plpgsql
  volatile
as $$
declare
  v_micros constant bigint := floor(extract(epoch from p_at) * 1000000);
begin
  -- A random version 4, whose first 48 bits become the millisecond, and the 12 after the version its fraction.
  return overlay(
    gen_random_uuid()::text placing
      substr(lpad(to_hex(v_micros / 1000), 12, '0'), 1, 8) || '-'
      || substr(lpad(to_hex(v_micros / 1000), 12, '0'), 9, 4) || '-7'
      || lpad(to_hex(v_micros % 1000 * 4096 / 1000), 3, '0')
    from 1 for 18
  )::uuid;
end;
$$;

comment on function wfg.uuid_v7(timestamptz) is
'A UUID version 7 (RFC 9562, method 3: the fraction of the millisecond in rand_a), so ids sort by time of creation.';
create or replace function wfg.wake_lanes(
  p_refs wfg.job_ref[],
  p_now  timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  perform wfg.announce('wfg_wake', l.lane_id)
     from (
            select distinct q.lane_id
              from unnest(p_refs) r
              join wfg.queue q on q.run_id = r.run_id and q.job_no = r.job_no
             where q.ready_at <= p_now
          ) l;
end;
$$;

comment on function wfg.wake_lanes(wfg.job_ref[], timestamptz) is
'These queue rows, ready again since before, may be claimed: wake who waits for their lanes. Channel wfg_wake.';
create or replace function wfg.workflow_json(
  p_workflow_id text,
  p_version_id  bigint,
  p_run_id      uuid
)
  returns json
  language plpgsql
  stable
as $$
declare
  v_jobs json;
begin
  select coalesce(
           json_agg(
             json_build_object(
               'id', s.key,
               'name', s.name,
               'status', wfg.job_state(j.state, q.lease_nonce),
               'command', s.command,
               'duration_secs', case
                 when j.state in ('success', 'failure') then
                   floor(extract(epoch from j.finished_at - j.started_at))::bigint
               end,
               'started_at', (wfg.epoch_ms(coalesce(j.started_at, q.leased_at)))::numeric(20, 1),
               'depends_on', array(
                 select p.key
                   from unnest(s.parents) n (job_no)
                  cross join lateral (
                          select k.key, k.display_no
                            from wfg.job_specs k
                           where k.version_id = s.version_id
                             and k.job_no = n.job_no
                          offset 0
                        ) p
                  order by p.display_no
               ),
               'output', case j.state when 'failure' then j.error end,
               'required_labels', s.labels,
               'max_retries', s.retries,
               'attempt', coalesce(q.attempt, j.attempt, 0),
               'metadata', s.metadata,
               'ports', s.ports,
               'children', s.nested_jobs,
               'collapsed', s.collapsed
             )
             order by s.display_no
           ),
           '[]'
         )
    into v_jobs
    from wfg.job_specs s
    left join wfg.jobs j on j.run_id = p_run_id and j.job_no = s.job_no
    left join wfg.queue q on q.run_id = p_run_id and q.job_no = s.job_no and q.cancelled_at is null
   where s.version_id = p_version_id;

  return (
    select json_build_object('id', p_workflow_id, 'name', v.name, 'trigger', v.trigger, 'jobs', v_jobs)
      from wfg.workflow_versions v
     where v.id = p_version_id
  );
end;
$$;

comment on function wfg.workflow_json(text, bigint, uuid) is
$$A Workflow as workflow-graph clients know it, no field omitted. p_run_id null: as if never run, all jobs queued.

started_at: epoch milliseconds with a decimal, as those clients parse a float. duration_secs: whole seconds.$$;
-- Every trigger. They guard: an illegal move raises, a terminal state is final. What a move causes is in wfg.settle;
-- who must hear of it is told where it is done (wfg.announce): triggers for that cost 15 us for each end of a run.

-- A job moves from queued only: to success (complete), failure (fail, timeout, lost lease; no retries left), skipped
-- (a parent ended otherwise than in success) or cancelled. What has ended is never written again. Which states there
-- are is the table's CHECK.
create trigger _100_guard_move
  before update on wfg.jobs
  for each row
  when (old.state <> 'queued')
  execute function wfg.tg_jobs__guard_move();

-- A run moves from active only: to success or failure (its last job ended) or cancelled.
create trigger _100_guard_move
  before update on wfg.runs
  for each row
  when (old.state <> 'active')
  execute function wfg.tg_runs__guard_move();
-- POST /api/jobs/{lease_id}/logs
create or replace function public.wfg_append_logs(
  p_lease_id text,
  p_chunks   jsonb
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_lease   wfg.queue;
  v_now     timestamptz;
  v_dropped integer;
begin
  perform wfg.check_chunks(p_chunks);

  v_lease := wfg.lock_lease(p_lease_id);
  v_now := wfg.now();
  perform wfg.check_lease(v_lease, v_now);
  perform wfg.check_chunk_ids(p_chunks, v_lease);

  v_dropped := wfg.store_chunks(v_lease, p_chunks);
  perform wfg.touch_worker(v_lease.worker_id, null, v_now);

  return json_build_object(
    'accepted', jsonb_array_length(p_chunks) - v_dropped,
    'truncated', v_dropped > 0
  );
end;
$$;

comment on function public.wfg_append_logs(text, jsonb) is
$$Keep pieces of output of a leased job. Sent again, a chunk is kept once: by its sequence in the attempt.

p_chunks: array of at most 10000 {"workflow_id","job_id","sequence","data","timestamp_ms","stream"}, all required, the
ids as the claim said them; sequence counts from 0 in each attempt; stream is stdout or stderr.
A job keeps 16 MiB, all attempts together; then a marker, and no more: "truncated":true, and what was dropped is not
among "accepted". A cancelled lease may still append.
Answers {"accepted","truncated"}. Errors: 409 lease_not_held; 422 invalid_request.$$;
-- POST /api/runs/{id}/jobs/{job_id}/cancel
create or replace function public.wfg_cancel_job(
  p_run_id text,
  p_job_id text
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_run    wfg.runs := wfg.known_run(p_run_id);
  v_job_no constant integer := wfg.job_no(v_run.version_id, p_job_id);
begin
  -- It may become ready between our look at the queue and our lock: then look again.
  while not wfg.cancel_job(v_run.id, v_job_no) loop
    null;
  end loop;

  return json_build_object(
    'job', (select j.state from wfg.jobs j where j.run_id = v_run.id and j.job_no = v_job_no),
    'run', wfg.run_state(v_run.id)
  );
end;
$$;

comment on function public.wfg_cancel_job(text, text) is
$$Cancel one job of a run; all that depends on it is skipped. What has ended is left as it is.

p_run_id: a run's id, or a workflow's: then its latest run of the workflow door.
Answers {"job":"cancelled","run":"failure"}, their states.
Errors: 404 run_not_found, workflow_not_found, job_not_found.$$;
-- POST /api/runs/{id}/cancel, POST /api/workflows/{id}/cancel
create or replace function public.wfg_cancel_run(
  p_run_id       text,
  p_cancelled_by text default null,
  p_reason       text default null
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_run wfg.runs;
begin
  perform wfg.check_text('p_cancelled_by', p_cancelled_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  v_run := wfg.resolve_run(p_run_id);

  if v_run.id is null then
    perform wfg.check_no_run_yet(p_run_id);

    return json_build_object('run_id', null, 'run', 'queued');
  end if;

  return json_build_object('run_id', v_run.id, 'run', wfg.cancel_run(v_run.id, p_cancelled_by, p_reason));
end;
$$;

comment on function public.wfg_cancel_run(text, text, text) is
$$Cancel a run: its open jobs and the run are over in this call; workers learn it from their next renewal.

p_run_id: a run's id, or a workflow's: then its latest run of the workflow door, and nothing happens if it has none.
Cancelling what has ended changes nothing. p_cancelled_by, p_reason: free text, kept with the run.
Answers {"run_id","run":"cancelled"}, or the state that the run ended in before.
Errors: 404 run_not_found, workflow_not_found; 422 invalid_request.$$;
create or replace function public.wfg_check(p_all boolean default false)
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return query
    select c.* from wfg.broken_runs(coalesce(p_all, false)) c
    union all
    select c.* from wfg.broken_jobs(coalesce(p_all, false)) c
    union all
    select c.* from wfg.broken_queue_rows() c
    union all
    select c.* from wfg.broken_definitions() c;
end;
$$;

comment on function public.wfg_check(boolean) is
$$Every broken invariant of the engine, as a row: none on a healthy database.

p_all: also the runs that have ended, not only the active ones; reads everything.
Answers rows (invariant, subject, detail): a sentence that should hold, what breaks it, and how.$$;
-- POST /api/jobs/claim
create or replace function public.wfg_claim_job(
  p_worker_id text,
  p_labels    jsonb,
  p_ttl_secs  integer default 30
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set lock_timeout = '500ms'
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_claims constant text[] := wfg.claim(p_worker_id, p_labels, 1, p_ttl_secs);
begin
  return coalesce(v_claims[1], 'null')::json;
end;
$$;

comment on function public.wfg_claim_job(text, jsonb, integer) is
$$Lease one ready job that a worker with these labels may run; JSON null when there is none.

p_labels: array of strings; a job is taken if all its required labels are among them. p_ttl_secs: 1 to 86400, how long
the lease lasts unless renewed; the job's own timeout ends it too.
Answers {"job":{…},"lease":{…}}: sql/README.md, Claim. It waits for a lock for half a second at most, and never in the
usual way: 55P03 means ask again. Errors: 422 invalid_request.$$;
-- POST /api/jobs/claim-many
create or replace function public.wfg_claim_jobs(
  p_worker_id text,
  p_labels    jsonb,
  p_limit     integer,
  p_ttl_secs  integer default 30
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set lock_timeout = '500ms'
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_claims constant text[] := wfg.claim(p_worker_id, p_labels, p_limit, p_ttl_secs);
begin
  return ('[' || coalesce(array_to_string(v_claims, ','), '') || ']')::json;
end;
$$;

comment on function public.wfg_claim_jobs(text, jsonb, integer, integer) is
$$Lease up to p_limit (1 to 1000) ready jobs in one go: an array of what wfg_claim_job answers, [] when there are none.

55P03 as wfg_claim_job. Errors: 422 invalid_request.$$;
-- POST /api/jobs/{lease_id}/complete
create or replace function public.wfg_complete_job(
  p_lease_id text,
  p_outputs  jsonb default '{}'
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
begin
  perform wfg.check_outputs('p_outputs', p_outputs);

  return wfg.report_one(p_lease_id, 'success', p_outputs, null, false);
end;
$$;

comment on function public.wfg_complete_job(text, jsonb) is
$$Finish a leased job with success, and unblock whatever waited only for it.

Call it in the transaction of the worker's own writes and they happen exactly once: they commit with the completion, or
roll back with its refusal.
p_outputs: object of strings, at most 1 MiB of text, handed to dependents as upstream_outputs.
Answers {"job":"success","run":"running"}.
Errors: 409 lease_not_held, lease_cancelled, already_reported; 422 invalid_request.$$;
-- POST /api/workflows/sample
create or replace function public.wfg_create_sample_workflow()
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_jobs    json;
  v_parsed  record;
  v_version record;
begin
  select json_agg(
           json_build_object(
             'id', j.id,
             'name', j.name,
             'status', 'queued',
             'command', format('echo ''%s''; sleep %s', j.says, j.secs),
             'depends_on', j.needs
           )
           order by j.no
         )
    into v_jobs
    from (values
      (1, 'unit-tests',     'Unit Tests',           '{}'::text[],                   'Running the unit tests', 2),
      (2, 'lint',           'Lint',                 '{}',                           'Linting',                1),
      (3, 'typecheck',      'Typecheck',            '{}',                           'Checking the types',     2),
      (4, 'build',          'Build',                '{unit-tests,lint,typecheck}',  'Building',               3),
      (5, 'deploy-db',      'Deploy DB Migrations', '{build}',                      'Migrating the database', 1),
      (6, 'e2e-tests',      'E2E Tests',            '{build}',                      'Running the E2E tests',  5),
      (7, 'deploy-preview', 'Deploy Preview',       '{build}',                      'Deploying the preview',  1),
      (8, 'deploy-web',     'Deploy Web',           '{deploy-db}',                  'Deploying the site',     3)
    ) j (no, id, name, needs, says, secs);

  v_parsed := wfg.parse_job_list('ci.yml', 'on: push', v_jobs);
  perform wfg.refuse_problems(v_parsed.problems);

  v_version := wfg.store_version(
    'ci-1',
    json_build_object('name', 'ci.yml', 'trigger', 'on: push', 'jobs', v_jobs),
    v_parsed.definition
  );

  return wfg.workflow_json('ci-1', v_version.version_id, null);
end;
$$;

comment on function public.wfg_create_sample_workflow() is
$$Create the sample workflow ci-1, or make it the current version of ci-1 again. Its runs are not touched.$$;
-- POST /api/workflows
create or replace function public.wfg_create_workflow(
  p_name    text,
  p_trigger text,
  p_jobs    json
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_id      constant text := gen_random_uuid();
  v_parsed           record;
  v_version          record;
begin
  perform wfg.check_text('p_name', p_name, 200, false);
  perform wfg.check_given('p_trigger', p_trigger);
  perform wfg.check_text('p_trigger', nullif(p_trigger, ''), 200, true);
  perform wfg.check_given('p_jobs', p_jobs::text);

  v_parsed := wfg.parse_job_list(p_name, p_trigger, p_jobs);
  perform wfg.refuse_problems(v_parsed.problems);

  v_version := wfg.store_version(
    v_id,
    json_build_object('name', p_name, 'trigger', p_trigger, 'jobs', p_jobs),
    v_parsed.definition
  );

  return wfg.workflow_json(v_id, v_version.version_id, null);
end;
$$;

comment on function public.wfg_create_workflow(text, text, json) is
$$Create a workflow from the API's job list, with a fresh id.

p_jobs: array of Job: id, name, status, command, depends_on required. Commands are taken as they are; statuses, times
and attempts are checked and ignored; metadata, ports, children and collapsed are kept; unknown fields are ignored.
Errors: 422 invalid_workflow with all problems at once; 422 invalid_request.$$;
-- DELETE /api/workflows/{id}
create or replace function public.wfg_delete_workflow(p_workflow_id text)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform wfg.check_given('p_workflow_id', p_workflow_id);

  update wfg.workflows w
     set deleted_at = wfg.now(),
         updated_at = wfg.now()
   where w.namespace = wfg.namespace()
     and w.id = p_workflow_id
     and w.deleted_at is null;

  if not found then
    perform wfg.current_version(p_workflow_id);   -- raises workflow_not_found
  end if;

  return json_build_object('id', p_workflow_id, 'deleted', true);
end;
$$;

comment on function public.wfg_delete_workflow(text) is
$$Delete a workflow: it can no longer be started. Its runs stay, and active ones go on.

Putting the same id again brings it back, with the next version.
Errors: 404 workflow_not_found, also when it was deleted before; 422 invalid_request.$$;
-- DELETE /api/workers/{id}
create or replace function public.wfg_deregister_worker(p_worker_id text)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform wfg.check_known_worker(p_worker_id);

  delete from wfg.workers w where w.namespace = wfg.namespace() and w.id = p_worker_id;

  return json_build_object('worker_id', p_worker_id, 'deregistered', true);
end;
$$;

comment on function public.wfg_deregister_worker(text) is
$$Forget a worker. Its leases are not touched: they are reported, released, or they expire.

Answers {"worker_id","deregistered":true}. Errors: 404 worker_not_found.$$;
-- POST /api/jobs/{lease_id}/fail
create or replace function public.wfg_fail_job(
  p_lease_id  text,
  p_error     text,
  p_retryable boolean default false
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
begin
  if p_error is null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_error: must be a text, not null',
      hint    = 'Say what went wrong; an empty text will do.';
  end if;

  return wfg.report_one(p_lease_id, 'failure', null, right(p_error, 65536), coalesce(p_retryable, false));
end;
$$;

comment on function public.wfg_fail_job(text, text, boolean) is
$$End the attempt of a leased job with an error: it is retried if p_retryable and retries are left, else it has failed
and all that depends on it is skipped. For a cancelled lease it is the acknowledgement: the job stays cancelled.

p_error: its last 65536 characters are kept.
Answers {"job":"queued","run":"running"} (a retry), or "failure", or "cancelled".
Errors: 409 lease_not_held, already_reported; 422 invalid_request.$$;
-- GET /api/runs/{id}/jobs/{job_id}
create or replace function public.wfg_get_job(
  p_run_id text,
  p_job_id text
)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_run constant wfg.runs := wfg.known_run(p_run_id);
  v_no  constant integer := wfg.job_no(v_run.version_id, p_job_id);
begin
  return (
    select json_build_object(
             'run_id', v_run.id,
             'workflow_id', v_run.workflow_id,
             'job', wfg.job_json(j, s, q),
             'command', s.command,
             'required_labels', s.labels,
             'outputs', coalesce(j.outputs, o.outputs, '{}'),
             'attempts', wfg.attempts_json(v_run.id, v_no)
           )
      from wfg.jobs j
      join wfg.job_specs s on s.version_id = v_run.version_id and s.job_no = j.job_no
      left join wfg.queue q on q.run_id = j.run_id and q.job_no = j.job_no
      left join wfg.outputs o on o.run_id = j.run_id and o.job_no = j.job_no
     where j.run_id = v_run.id
       and j.job_no = v_no
  );
end;
$$;

comment on function public.wfg_get_job(text, text) is
$$A job of a run with its outputs and its earlier attempts (sql/README.md, JobDetail). All times are epoch milliseconds.

attempts: those that did not end the job, and a cancelled one.
Errors: 404 run_not_found, workflow_not_found, job_not_found.$$;
-- GET /api/runs/{id}/jobs/{job_id}/outputs
create or replace function public.wfg_get_outputs(
  p_run_id text,
  p_job_id text
)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_run constant wfg.runs := wfg.known_run(p_run_id);
  v_no  constant integer := wfg.job_no(v_run.version_id, p_job_id);
begin
  return (
    select coalesce(j.outputs, o.outputs, '{}')
      from wfg.jobs j
      left join wfg.outputs o on o.run_id = j.run_id and o.job_no = j.job_no
     where j.run_id = v_run.id
       and j.job_no = v_no
  );
end;
$$;

comment on function public.wfg_get_outputs(text, text) is
$$The outputs that a job handed on: an object of strings, {} while there are none.

Errors: 404 run_not_found, workflow_not_found, job_not_found.$$;
-- GET /api/runs/{id}
create or replace function public.wfg_get_run(p_run_id text)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_run  constant wfg.runs := wfg.known_run(p_run_id);
  v_jobs json;
begin
  select coalesce(json_agg(wfg.job_json(j, s, q) order by s.display_no), '[]')
    into v_jobs
    from wfg.job_specs s
    join wfg.jobs j on j.run_id = v_run.id and j.job_no = s.job_no
    left join wfg.queue q on q.run_id = v_run.id and q.job_no = s.job_no
   where s.version_id = v_run.version_id;

  return wfg.run_json(v_run, v_jobs);
end;
$$;

comment on function public.wfg_get_run(text) is
$$A run with its jobs in the order of the file (sql/README.md, Run). All times are epoch milliseconds.

p_run_id: a run's id, or a workflow's: then its latest run of the workflow door.
state: queued, running, success, failure or cancelled; of a job also skipped.
Errors: 404 run_not_found, workflow_not_found.$$;
-- GET /api/workflows/{id}/status
create or replace function public.wfg_get_status(p_workflow_id text)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_run constant wfg.runs := wfg.resolve_run(p_workflow_id);
begin
  if v_run.id is not null then
    return wfg.workflow_json(p_workflow_id, v_run.version_id, v_run.id);
  end if;

  perform wfg.check_no_run_yet(p_workflow_id);

  return wfg.workflow_json(p_workflow_id, (wfg.current_version(p_workflow_id)).id, null);
end;
$$;

comment on function public.wfg_get_status(text) is
$$A run in the form of a Workflow with the status of its jobs.

p_workflow_id: a run's id, or a workflow's: then its latest run of the workflow door, or, if there is none yet, the
current version with all jobs queued.
Answers {"id","name","trigger","jobs":[{"id","name","status","command","duration_secs","started_at",…}]}.
Errors: 404 run_not_found, workflow_not_found.$$;
-- GET /api/workflows/{id}
create or replace function public.wfg_get_workflow(
  p_workflow_id text,
  p_version     integer default null
)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_version wfg.workflow_versions := wfg.current_version(p_workflow_id);
begin
  if p_version is not null then
    select v.*
      into v_version
      from wfg.workflow_versions v
     where v.namespace = v_version.namespace
       and v.workflow_id = v_version.workflow_id
       and v.version = p_version;

    if not found then
      raise sqlstate 'PT404' using
        message = 'version_not_found',
        detail  = format('The workflow has no version %s.', p_version),
        hint    = 'Versions count from 1. Leave it out for the current one.';
    end if;
  end if;

  return json_build_object(
    'id', v_version.workflow_id,
    'version', v_version.version,
    'name', v_version.name,
    'trigger', v_version.trigger,
    'definition', v_version.source,
    'inputs', v_version.inputs,
    'jobs', v_version.definition -> 'jobs',
    'created_at_ms', wfg.epoch_ms(v_version.created_at)
  );
end;
$$;

comment on function public.wfg_get_workflow(text, integer) is
$$A workflow's definition: as it was sent (definition), and its inputs and jobs in normal form.

p_version: null means the current one. created_at_ms is that version's.
Errors: 404 workflow_not_found, version_not_found.$$;
-- GET /health
create or replace function public.wfg_health()
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return json_build_object(
    'status', 'ok',
    'revision', wfg.schema_revision(),
    'postgres', current_setting('server_version_num')::integer,
    'now_ms', wfg.epoch_ms(wfg.now())
  );
end;
$$;

comment on function public.wfg_health() is
$$That the engine answers, in which revision, on which Postgres (150018 is 15.18), and what time it is there.

Answers {"status":"ok","revision","postgres","now_ms"}.$$;
-- POST /api/workers/{id}/heartbeat
create or replace function public.wfg_heartbeat_worker(p_worker_id text)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform wfg.check_known_worker(p_worker_id);
  perform wfg.touch_worker(p_worker_id, null, wfg.now());

  return json_build_object('worker_id', p_worker_id);
end;
$$;

comment on function public.wfg_heartbeat_worker(text) is
$$Say that a worker lives, though it claims nothing. Leases are renewed one by one, by wfg_renew_lease.

Answers {"worker_id"}. Errors: 404 worker_not_found: register again.$$;
-- GET /api/jobs/{wf_id}/{job_id}/cancelled
create or replace function public.wfg_is_cancelled(
  p_workflow_id text,
  p_job_id      text
)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_run wfg.runs;
begin
  -- By a workflow's id, an old worker asks too: a cancelled lease that lives is meant, whatever run is latest.
  if exists (
       select
         from wfg.queue q
        where q.cancelled_workflow_id = p_workflow_id
          and q.cancelled_job_id = p_job_id
          and q.expires_at > wfg.now()
     )
  then
    return to_json(true);
  end if;

  v_run := wfg.resolve_run(p_workflow_id);

  return to_json(
    exists (
      select
        from wfg.job_specs s
        join wfg.jobs j on j.run_id = v_run.id and j.job_no = s.job_no
       where s.version_id = v_run.version_id
         and s.key = p_job_id
         and j.state = 'cancelled'
    )
  );
end;
$$;

comment on function public.wfg_is_cancelled(text, text) is
$$Whether a worker on this job should stop: true or false; false for unknown ids.

p_workflow_id: as the claim said it. For a workflow's id it is true while a cancelled lease of that job lives, and else
tells whether the job is cancelled in the latest run of the workflow door.$$;
-- GET /api/workflows/{wf_id}/jobs/{job_id}/logs
create or replace function public.wfg_list_logs(
  p_workflow_id text,
  p_job_id      text
)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_run constant wfg.runs := wfg.resolve_run(p_workflow_id);
begin
  return coalesce(
    (
      select json_agg(
               json_build_object(
                 'workflow_id', p_workflow_id,
                 'job_id', p_job_id,
                 'sequence', c.sequence,
                 'data', c.data,
                 'timestamp_ms', c.timestamp_ms,
                 'stream', c.stream
               )
               order by c.attempt, c.sequence
             )
        from wfg.job_specs s
        join wfg.log_chunks c on c.run_id = v_run.id and c.job_no = s.job_no
       where s.version_id = v_run.version_id
         and s.key = p_job_id
    ),
    '[]'
  );
end;
$$;

comment on function public.wfg_list_logs(text, text) is
$$The whole log of a job, by attempt and sequence: an array of {"workflow_id","job_id","sequence","data","timestamp_ms",
"stream"}; [] for unknown ids.

p_workflow_id: a run's id, or a workflow's: then its latest run of the workflow door.$$;
-- GET /api/runs
create or replace function public.wfg_list_runs(
  p_workflow_id text default null,
  p_state       text default null,
  p_limit       integer default 100,
  p_cursor      text default null
)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_runs wfg.runs[];
begin
  perform wfg.check_range('p_limit', p_limit, 1, 1000);

  if p_state not in ('queued', 'running', 'success', 'failure', 'cancelled') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_state: must be queued, running, success, failure or cancelled',
      hint    = 'Leave it out for all.';
  end if;

  if not wfg.is_run_id(p_cursor) then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_cursor: is not a cursor of this list',
      hint    = 'Leave it out for the newest runs.';
  end if;

  v_runs := case
    when p_state in ('queued', 'running') then
      wfg.active_runs_before(coalesce(p_cursor::uuid, wfg.max_uuid()), p_workflow_id, p_state, p_limit + 1)
    else
      wfg.runs_before(coalesce(p_cursor::uuid, wfg.max_uuid()), p_workflow_id, p_state, p_limit + 1)
  end;

  return json_build_object(
    'items', coalesce(
      (
        select json_agg(wfg.run_json(r, null) order by r.id desc)
          from unnest(v_runs[1:p_limit]) r
      ),
      '[]'
    ),
    'next_cursor', case when cardinality(v_runs) > p_limit then (v_runs[p_limit]).id end
  );
end;
$$;

comment on function public.wfg_list_runs(text, text, integer, text) is
$$Runs, newest first, without their jobs (sql/README.md, Run).

p_workflow_id, p_state: only those of it, in it. p_limit: 1 to 1000. p_cursor: next_cursor of the page before.
A page of queued or running ones is found from the queue; of another state it reads as many runs as it must pass over.
Answers {"items":[…],"next_cursor"}; next_cursor null: that was the last page. Errors: 422 invalid_request.$$;
-- GET /api/workers
create or replace function public.wfg_list_workers()
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_now constant timestamptz := wfg.now();
begin
  return coalesce(
    (
      select json_agg(
               json_build_object(
                 'worker_id', w.id,
                 'labels', w.labels,
                 'registered_at_ms', wfg.epoch_ms(w.registered_at),
                 'last_heartbeat_ms', wfg.epoch_ms(w.last_seen_at),
                 'current_job', l.current_job,
                 'status', case
                   when l.worker_id is not null then 'busy'
                   when w.last_seen_at < v_now - interval '60 seconds' then 'offline'
                   else 'idle'
                 end
               )
               order by w.registered_at, w.id
             )
        from wfg.workers w
        left join (
               select q.worker_id, (array_agg(s.key order by q.leased_at desc, s.key))[1] as current_job
                 from wfg.queue q
                 join wfg.job_specs s on s.version_id = q.version_id and s.job_no = q.job_no
                where q.lease_nonce is not null
                  and q.expires_at > v_now
                  and q.cancelled_at is null
                group by q.worker_id
             ) l on l.worker_id = w.id
       where w.namespace = wfg.namespace()
    ),
    '[]'
  );
end;
$$;

comment on function public.wfg_list_workers() is
$$All workers, in the order of registration: an array of {"worker_id","labels","registered_at_ms","last_heartbeat_ms",
"current_job","status"}.

status: busy with a live lease (current_job: the one it took last); offline after 60 seconds without any
contact; else idle.$$;
-- GET /api/workflows
create or replace function public.wfg_list_workflows(
  p_limit  integer default 100,
  p_offset integer default 0,
  p_status text    default null
)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
begin
  perform wfg.check_range('p_limit', coalesce(p_limit, 100), 0, 2147483647);
  perform wfg.check_range('p_offset', coalesce(p_offset, 0), 0, 2147483647);

  return (
    select coalesce(json_agg(wfg.workflow_json(w.id, w.version_id, w.run_id) order by w.created_at, w.id), '[]')
      from (
        select c.id, c.created_at, r.id as run_id, coalesce(r.version_id, v.id) as version_id
          from wfg.workflows c
          join wfg.workflow_versions v
            on v.namespace = c.namespace
           and v.workflow_id = c.id
           and v.version = c.version
          left join lateral (
            select l.id, l.version_id
              from wfg.runs l
             where l.namespace = c.namespace
               and l.workflow_id = c.id
               and l.door = 'workflow'
             order by l.id desc
             limit 1
          ) r on true
         where c.namespace = wfg.namespace()
           and c.deleted_at is null
           and case
             when p_status is null then true
             when r.id is null then p_status = 'queued' and v.job_count > 0
             else wfg.has_job_in(r.id, p_status)
           end
         order by c.created_at, c.id
         limit least(coalesce(p_limit, 100), 1000)
        offset coalesce(p_offset, 0)
      ) w
  );
end;
$$;

comment on function public.wfg_list_workflows(integer, integer, text) is
$$Workflows in the order of their creation, each with the jobs of its latest run of the workflow door.

Without such a run: its current version, all jobs queued. p_limit: at most 1000, more is taken for 1000.
p_status: only workflows with at least one job in that status; an unknown one matches nothing.
Errors: 422 invalid_request for a negative limit or offset.$$;
create or replace function public.wfg_prune(
  p_older_than_secs bigint default 2592000,
  p_limit           integer default 1000
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_now    constant timestamptz := wfg.now();
  v_before timestamptz;
begin
  perform wfg.check_range('p_older_than_secs', p_older_than_secs, 0, 3155760000);
  perform wfg.check_range('p_limit', p_limit, 1, 100000);

  v_before := v_now - make_interval(secs => p_older_than_secs);

  return json_build_object(
    'runs', wfg.prune_runs(v_before, p_limit),
    'workers', wfg.prune_workers(least(v_before, v_now - interval '1 day')),
    'label_sets', wfg.prune_label_sets(v_now - interval '1 day')
  );
end;
$$;

comment on function public.wfg_prune(bigint, integer) is
$$Delete what is long over: runs that ended before, with their jobs, logs, outputs and attempts; workers not heard of
since (at least a day); label sets not used for a day.

p_older_than_secs: 0 to 3155760000, 30 days unless said. p_limit: at most so many runs a call, oldest first: call again
until "runs" is less. It waits for no lock that workers hold. Frees idempotency keys.
Answers {"runs","workers","label_sets"}: how many. Errors: 422 invalid_request.$$;
-- PUT /api/workflows/{id}
create or replace function public.wfg_put_workflow(
  p_workflow_id text,
  p_definition  json,
  p_lenient     boolean default false
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_id      text := p_workflow_id;
  v_parsed  record;
  v_version record;
begin
  perform wfg.check_given('p_definition', p_definition::text);

  if p_workflow_id is not null then
    perform wfg.check_workflow_id(p_workflow_id);
  end if;

  v_parsed := wfg.parse_definition(p_definition, coalesce(p_lenient, false));
  perform wfg.refuse_problems(v_parsed.problems);

  if p_workflow_id is null then
    v_id := v_parsed.definition ->> 'name';
    perform wfg.check_workflow_id(v_id);
  end if;

  v_version := wfg.store_version(
    v_id,
    p_definition,
    v_parsed.definition || jsonb_build_object('name', coalesce(v_parsed.definition ->> 'name', v_id))
  );

  return json_build_object(
    'id', v_id,
    'version', v_version.version,
    'changed', v_version.changed,
    'warnings', v_parsed.warnings
  );
end;
$$;

comment on function public.wfg_put_workflow(text, json, boolean) is
$$Create a workflow from a file's JSON, or make that its next version.

p_workflow_id: null takes the file's name. p_lenient: unknown keys are warnings instead of errors.
A definition that means the same as the current version makes no new one: "changed" is false.
Runs keep the version they were started with. A deleted workflow is there again.
Errors: 422 invalid_workflow with all problems at once; 422 invalid_request.$$;
-- GET /api/runs/{id}/jobs/{job_id}/logs
create or replace function public.wfg_read_logs(
  p_workflow_id text,
  p_job_id      text,
  p_cursor      text default null,
  p_limit       integer default 1000
)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_run      wfg.runs;
  v_job_no   integer;
  v_attempt  integer := 0;
  v_sequence bigint := -1;
  v_answer   json;
begin
  perform wfg.check_range('p_limit', p_limit, 1, 10000);

  if p_cursor is not null then
    if p_cursor !~ '^[0-9]{1,9}\.(-1|[0-9]{1,16})$' then
      raise sqlstate 'PT422' using
        message = 'invalid_request',
        detail  = 'p_cursor: is not a cursor of this list',
        hint    = 'Leave it out to read from the start.';
    end if;

    v_attempt := split_part(p_cursor, '.', 1)::integer;
    v_sequence := split_part(p_cursor, '.', 2)::bigint;
  end if;

  v_run := wfg.known_run(p_workflow_id);
  v_job_no := wfg.job_no(v_run.version_id, p_job_id);

  select json_build_object(
           'items', coalesce(
             json_agg(
               json_build_object(
                 'workflow_id', p_workflow_id,
                 'job_id', p_job_id,
                 'attempt', c.attempt,
                 'sequence', c.sequence,
                 'data', c.data,
                 'timestamp_ms', c.timestamp_ms,
                 'stream', c.stream
               )
               order by c.attempt, c.sequence
             ),
             '[]'
           ),
           'next_cursor', coalesce(
             (array_agg(c.attempt || '.' || c.sequence order by c.attempt desc, c.sequence desc))[1],
             v_attempt || '.' || v_sequence
           )
         )
    into v_answer
    from (
           select l.*
             from wfg.log_chunks l
            where l.run_id = v_run.id
              and l.job_no = v_job_no
              and (l.attempt, l.sequence) > (v_attempt, v_sequence)
            order by l.attempt, l.sequence
            limit p_limit
         ) c;

  return v_answer;
end;
$$;

comment on function public.wfg_read_logs(text, text, text, integer) is
$$A job's log from a cursor on, by attempt and sequence.

p_workflow_id: a run's id, or a workflow's: then its latest run of the workflow door. p_cursor: next_cursor of
the answer
before; null from the start. p_limit: 1 to 10000 chunks.
Answers {"items":[LogChunk with "attempt"],"next_cursor"}; next_cursor is always set: there may be more later.
Errors: 404 run_not_found, workflow_not_found, job_not_found; 422 invalid_request.$$;
create or replace function public.wfg_reap(p_limit integer default 1000)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_moves wfg.transition[];
begin
  perform wfg.check_range('p_limit', p_limit, 1, 100000);

  v_moves := wfg.reap_expired_leases(p_limit);

  return (
    select json_build_object(
             'retried', count(*) filter (where m.move = 'retry'),
             'failed', count(*) filter (where m.move = 'failure'),
             'cancelled', count(*) filter (where m.move = 'acknowledge')
           )
      from unnest(v_moves) m
  );
end;
$$;

comment on function public.wfg_reap(integer) is
$$End leases that are over: expired or timed out (the attempt is retried or its job fails), or cancelled and silent.

For pg_cron, a server, or by hand. Claims do the same in passing, so this is for databases where nothing claims.
p_limit: 1 to 100000, longest overdue first. Answers {"retried","failed","cancelled"}.
Errors: 422 invalid_request.$$;
-- POST /api/workers/register
create or replace function public.wfg_register_worker(
  p_worker_id text,
  p_labels    jsonb
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_now    constant timestamptz := wfg.now();
  v_labels constant text[] := wfg.check_labels(p_labels);
begin
  perform wfg.check_text('p_worker_id', p_worker_id, 200, false);

  -- A claim by the same worker only tries this lock: so it never waits for a registration that is not committed.
  perform pg_advisory_xact_lock(wfg.lock_class(), hashtext('worker ' || p_worker_id));

  insert into wfg.workers as w (namespace, id, labels, registered_at, last_seen_at)
  values (wfg.namespace(), p_worker_id, v_labels, v_now, v_now)
      on conflict (namespace, id) do update
     set labels = excluded.labels, registered_at = excluded.registered_at, last_seen_at = excluded.last_seen_at;

  return json_build_object('worker_id', p_worker_id, 'labels', v_labels);
end;
$$;

comment on function public.wfg_register_worker(text, jsonb) is
$$Make a worker known, or known again with other labels. Not required: the first claim does it too.

Answers {"worker_id","labels"}. Errors: 422 invalid_request.$$;
-- POST /api/jobs/{lease_id}/release
create or replace function public.wfg_release_job(p_lease_id text)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
begin
  return wfg.report_one(p_lease_id, 'release', null, null, false);
end;
$$;

comment on function public.wfg_release_job(text) is
$$Give a leased job back, as if it had not been claimed: no retry is consumed, its place in the line is kept, and what
this attempt logged is deleted. For a cancelled lease it is the acknowledgement.

Answers {"job":"queued","run":"running"}. A repeat is refused with lease_not_held: nothing was reported.
Errors: 409 lease_not_held, already_reported.$$;
-- POST /api/jobs/{lease_id}/heartbeat
create or replace function public.wfg_renew_lease(p_lease_id text)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_lease wfg.queue;
  v_now   timestamptz;
begin
  v_lease := wfg.lock_lease(p_lease_id);
  v_now := wfg.now();
  perform wfg.check_lease(v_lease, v_now);

  if v_lease.cancelled_at is null then
    v_lease.expires_at := least(v_now + make_interval(secs => v_lease.ttl_secs), v_lease.timeout_at);

    update wfg.queue q
       set expires_at = v_lease.expires_at
     where q.run_id = v_lease.run_id
       and q.job_no = v_lease.job_no;
  end if;

  perform wfg.touch_worker(v_lease.worker_id, null, v_now);

  return json_build_object(
    'lease_expires_at_ms', wfg.epoch_ms(v_lease.expires_at),
    'stop', case when v_lease.cancelled_at is not null then 'cancelled' end
  );
end;
$$;

comment on function public.wfg_renew_lease(text) is
$$Extend a lease by its own time to live from now, never beyond the timeout of the job.

A cancelled lease is not extended, and answers "stop":"cancelled": stop working, then acknowledge by fail or release.
Answers {"lease_expires_at_ms","stop"}, epoch milliseconds. Errors: 409 lease_not_held.$$;
-- POST /api/jobs/report-many
create or replace function public.wfg_report_jobs(
  p_reports jsonb,
  p_strict  boolean default false
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_answers wfg.report_answer[];
  v_refused wfg.report_answer;
begin
  perform wfg.check_reports(p_reports);

  v_answers := wfg.report(wfg.read_reports(p_reports));

  if p_strict then
    select a.* into v_refused from unnest(v_answers) a where not a.ok order by a.ord limit 1;

    if v_refused.ord is not null then
      perform wfg.refuse_lease(v_refused.message, v_refused.job);
    end if;
  end if;

  return coalesce(
    (
      select '[' || string_agg(
               concat(
                 '{"lease_id":', p_reports -> (a.ord - 1) -> 'lease_id',
                 case
                   when a.ok then concat(',"ok":true,"job":"', a.job, '","run":"', a.run, '"}')
                   else concat(',"ok":false,"message":"', a.message, '"}')
                 end
               ),
               ',' order by a.ord
             ) || ']'
        from unnest(v_answers) a
    ),
    '[]'
  )::json;
end;
$$;

comment on function public.wfg_report_jobs(jsonb, boolean) is
$$Report many leases in one transaction; each by itself counts or is refused.

p_reports: array of at most 10000 {"lease_id","outcome":"success|failure","outputs","error","retryable"}.
A second report of the same lease is a repeat, and refused.
p_strict: if any is refused, none counts, and the first refusal is raised as the 409.
Answers, in the order sent, {"lease_id","ok":true,"job","run"} or {"lease_id","ok":false,"message"}.
Errors: 422 invalid_request, naming the item and the field; with p_strict also those of wfg_complete_job.$$;
-- POST /api/workflows/{id}/run
create or replace function public.wfg_run_workflow(
  p_workflow_id text,
  p_inputs      jsonb default '{}'
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_run wfg.runs;
begin
  v_run.workflow_id := p_workflow_id;
  v_run.door := 'workflow';
  v_run.inputs := coalesce(p_inputs, '{}');

  return wfg.start_run(v_run);
end;
$$;

comment on function public.wfg_run_workflow(text, jsonb) is
$$Run a workflow, unless a run started here is still active: then that one is the answer, with "created":false.

Only this function is the workflow door: its latest run is what status, cancel, logs and `cancelled?` mean by the
workflow's id. Runs of wfg_start_run neither block it nor are blocked.
Answers {"run_id","workflow_id","version","created"}.
Errors: 404 workflow_not_found; 422 invalid_request (inputs).$$;
-- POST /api/runs
create or replace function public.wfg_start_run(
  p_workflow_id     text,
  p_inputs          jsonb default '{}',
  p_idempotency_key text default null,
  p_start_at        timestamptz default null,
  p_started_by      text default null,
  p_reason          text default null
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_run wfg.runs;
begin
  perform wfg.check_text('p_idempotency_key', p_idempotency_key, 200, true);
  perform wfg.check_text('p_started_by', p_started_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  if p_start_at in ('infinity', '-infinity') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_start_at: must be a finite time',
      hint    = 'Leave it out to start at once.';
  end if;

  v_run.workflow_id := p_workflow_id;
  v_run.door := 'run';
  v_run.inputs := coalesce(p_inputs, '{}');
  v_run.idempotency_key := p_idempotency_key;
  v_run.start_at := p_start_at;
  v_run.started_by := p_started_by;
  v_run.reason := p_reason;

  return wfg.start_run(v_run);
end;
$$;

comment on function public.wfg_start_run(text, jsonb, text, timestamptz, text, text) is
$$Start a run of the current version of a workflow: any number of them may be active at once.

p_inputs: object of input names and values; numbers and booleans may be sent as text.
p_idempotency_key: 1 to 200 characters, unique per workflow: the same request again answers the first run, with
"created":false. Freed when that run is pruned.
p_start_at: no job is claimed before; null means at once. p_started_by, p_reason: free text, kept with the run.
Answers {"run_id","workflow_id","version","created"}.
Errors: 404 workflow_not_found; 409 idempotency_key_reused; 422 invalid_request.$$;
-- POST /api/runs/start-many
create or replace function public.wfg_start_runs(
  p_workflow_id text,
  p_runs        jsonb,
  p_started_by  text default null,
  p_reason      text default null
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
begin
  perform wfg.check_text('p_started_by', p_started_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);
  perform wfg.check_run_items(p_runs);

  return wfg.start_runs(p_workflow_id, p_runs, p_started_by, p_reason);
end;
$$;

comment on function public.wfg_start_runs(text, jsonb, text, text) is
$$Start many runs of the current version of a workflow, in one transaction.

p_runs: array of at most 10000 {"inputs":{},"idempotency_key":"…","start_at_ms":~}, all three optional: as p_inputs,
p_idempotency_key and p_start_at of wfg_start_run. p_started_by, p_reason: kept with each run.
Answers, in the order sent, {"ok":true,"run_id","version","created"}, or, when its key was used for another request,
{"ok":false,"message":"idempotency_key_reused","run_id"}: that item starts nothing, the others count.
Errors: 404 workflow_not_found; 422 invalid_request, naming the item and the field: none is started.$$;
-- POST /api/workflows/validate
create or replace function public.wfg_validate_workflow(
  p_definition json,
  p_lenient    boolean default false
)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_parsed record;
begin
  perform wfg.check_given('p_definition', p_definition::text);
  v_parsed := wfg.parse_definition(p_definition, coalesce(p_lenient, false));

  return json_build_object(
    'valid', json_array_length(v_parsed.problems) = 0,
    'problems', v_parsed.problems,
    'warnings', v_parsed.warnings
  );
end;
$$;

comment on function public.wfg_validate_workflow(json, boolean) is
$$Say what is wrong with a file's JSON, without storing it.

p_lenient: unknown keys are warnings instead of problems.
A problem: {"path":"jobs.build.needs[0]","message":"…","hint":"…"}. Errors: 422 invalid_request when it is null.$$;
-- Who may call what. The only file that knows the names of roles. They belong to the cluster: made if missing, never
-- dropped, and a login role becomes one of them by `grant wfg_worker to …`. None has a right to a table or to
-- schema wfg:
-- the functions run as their owner. Functions are named without arguments, for each has one signature.

do $$
begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = 'wfg_worker') then
    create role wfg_worker nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;   -- another database of the cluster was faster
end;
$$;

do $$
begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = 'wfg_operator') then
    create role wfg_operator nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;   -- another database of the cluster was faster
end;
$$;

do $$
begin
  if not exists (select from pg_catalog.pg_roles r where r.rolname = 'wfg_reader') then
    create role wfg_reader nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;   -- another database of the cluster was faster
end;
$$;

grant usage on schema public to wfg_worker, wfg_operator, wfg_reader;


-- Nobody: what Postgres gives to everybody.
revoke execute on all functions in schema wfg from public;

revoke execute on function
  public.wfg_put_workflow,
  public.wfg_create_workflow,
  public.wfg_create_sample_workflow,
  public.wfg_validate_workflow,
  public.wfg_get_workflow,
  public.wfg_list_workflows,
  public.wfg_delete_workflow,
  public.wfg_run_workflow,
  public.wfg_start_run,
  public.wfg_start_runs,
  public.wfg_get_run,
  public.wfg_list_runs,
  public.wfg_get_status,
  public.wfg_cancel_run,
  public.wfg_register_worker,
  public.wfg_heartbeat_worker,
  public.wfg_list_workers,
  public.wfg_deregister_worker,
  public.wfg_claim_job,
  public.wfg_claim_jobs,
  public.wfg_renew_lease,
  public.wfg_release_job,
  public.wfg_complete_job,
  public.wfg_fail_job,
  public.wfg_report_jobs,
  public.wfg_cancel_job,
  public.wfg_is_cancelled,
  public.wfg_get_job,
  public.wfg_get_outputs,
  public.wfg_append_logs,
  public.wfg_list_logs,
  public.wfg_read_logs,
  public.wfg_reap,
  public.wfg_prune,
  public.wfg_check,
  public.wfg_health
from public;


-- Workers: the worker protocol.
grant execute on function
  public.wfg_register_worker,
  public.wfg_heartbeat_worker,
  public.wfg_deregister_worker,
  public.wfg_claim_job,
  public.wfg_claim_jobs,
  public.wfg_renew_lease,
  public.wfg_release_job,
  public.wfg_complete_job,
  public.wfg_fail_job,
  public.wfg_report_jobs,
  public.wfg_is_cancelled,
  public.wfg_append_logs,
  public.wfg_health
to wfg_worker;


-- Readers: what changes nothing.
grant execute on function
  public.wfg_validate_workflow,
  public.wfg_get_workflow,
  public.wfg_list_workflows,
  public.wfg_get_run,
  public.wfg_list_runs,
  public.wfg_get_status,
  public.wfg_list_workers,
  public.wfg_is_cancelled,
  public.wfg_get_job,
  public.wfg_get_outputs,
  public.wfg_list_logs,
  public.wfg_read_logs,
  public.wfg_health
to wfg_reader;


-- Operators: everything.
grant execute on function
  public.wfg_put_workflow,
  public.wfg_create_workflow,
  public.wfg_create_sample_workflow,
  public.wfg_validate_workflow,
  public.wfg_get_workflow,
  public.wfg_list_workflows,
  public.wfg_delete_workflow,
  public.wfg_run_workflow,
  public.wfg_start_run,
  public.wfg_start_runs,
  public.wfg_get_run,
  public.wfg_list_runs,
  public.wfg_get_status,
  public.wfg_cancel_run,
  public.wfg_register_worker,
  public.wfg_heartbeat_worker,
  public.wfg_list_workers,
  public.wfg_deregister_worker,
  public.wfg_claim_job,
  public.wfg_claim_jobs,
  public.wfg_renew_lease,
  public.wfg_release_job,
  public.wfg_complete_job,
  public.wfg_fail_job,
  public.wfg_report_jobs,
  public.wfg_cancel_job,
  public.wfg_is_cancelled,
  public.wfg_get_job,
  public.wfg_get_outputs,
  public.wfg_append_logs,
  public.wfg_list_logs,
  public.wfg_read_logs,
  public.wfg_reap,
  public.wfg_prune,
  public.wfg_check,
  public.wfg_health
to wfg_operator;


-- Supabase grants new functions of schema public to these roles by itself.
do $$
begin
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'anon') then
    revoke execute on function
      public.wfg_put_workflow,
      public.wfg_create_workflow,
      public.wfg_create_sample_workflow,
      public.wfg_validate_workflow,
      public.wfg_get_workflow,
      public.wfg_list_workflows,
      public.wfg_delete_workflow,
      public.wfg_run_workflow,
      public.wfg_start_run,
      public.wfg_start_runs,
      public.wfg_get_run,
      public.wfg_list_runs,
      public.wfg_get_status,
      public.wfg_cancel_run,
      public.wfg_register_worker,
      public.wfg_heartbeat_worker,
      public.wfg_list_workers,
      public.wfg_deregister_worker,
      public.wfg_claim_job,
      public.wfg_claim_jobs,
      public.wfg_renew_lease,
      public.wfg_release_job,
      public.wfg_complete_job,
      public.wfg_fail_job,
      public.wfg_report_jobs,
      public.wfg_cancel_job,
      public.wfg_is_cancelled,
      public.wfg_get_job,
      public.wfg_get_outputs,
      public.wfg_append_logs,
      public.wfg_list_logs,
      public.wfg_read_logs,
      public.wfg_reap,
      public.wfg_prune,
      public.wfg_check,
      public.wfg_health
    from anon;
  end if;

  if exists (select from pg_catalog.pg_roles r where r.rolname = 'authenticated') then
    revoke execute on function
      public.wfg_put_workflow,
      public.wfg_create_workflow,
      public.wfg_create_sample_workflow,
      public.wfg_validate_workflow,
      public.wfg_get_workflow,
      public.wfg_list_workflows,
      public.wfg_delete_workflow,
      public.wfg_run_workflow,
      public.wfg_start_run,
      public.wfg_start_runs,
      public.wfg_get_run,
      public.wfg_list_runs,
      public.wfg_get_status,
      public.wfg_cancel_run,
      public.wfg_register_worker,
      public.wfg_heartbeat_worker,
      public.wfg_list_workers,
      public.wfg_deregister_worker,
      public.wfg_claim_job,
      public.wfg_claim_jobs,
      public.wfg_renew_lease,
      public.wfg_release_job,
      public.wfg_complete_job,
      public.wfg_fail_job,
      public.wfg_report_jobs,
      public.wfg_cancel_job,
      public.wfg_is_cancelled,
      public.wfg_get_job,
      public.wfg_get_outputs,
      public.wfg_append_logs,
      public.wfg_list_logs,
      public.wfg_read_logs,
      public.wfg_reap,
      public.wfg_prune,
      public.wfg_check,
      public.wfg_health
    from authenticated;
  end if;

  if exists (select from pg_catalog.pg_roles r where r.rolname = 'service_role') then
    grant execute on function
      public.wfg_put_workflow,
      public.wfg_create_workflow,
      public.wfg_create_sample_workflow,
      public.wfg_validate_workflow,
      public.wfg_get_workflow,
      public.wfg_list_workflows,
      public.wfg_delete_workflow,
      public.wfg_run_workflow,
      public.wfg_start_run,
      public.wfg_start_runs,
      public.wfg_get_run,
      public.wfg_list_runs,
      public.wfg_get_status,
      public.wfg_cancel_run,
      public.wfg_register_worker,
      public.wfg_heartbeat_worker,
      public.wfg_list_workers,
      public.wfg_deregister_worker,
      public.wfg_claim_job,
      public.wfg_claim_jobs,
      public.wfg_renew_lease,
      public.wfg_release_job,
      public.wfg_complete_job,
      public.wfg_fail_job,
      public.wfg_report_jobs,
      public.wfg_cancel_job,
      public.wfg_is_cancelled,
      public.wfg_get_job,
      public.wfg_get_outputs,
      public.wfg_append_logs,
      public.wfg_list_logs,
      public.wfg_read_logs,
      public.wfg_reap,
      public.wfg_prune,
      public.wfg_check,
      public.wfg_health
    to service_role;
  end if;
end;
$$;


INSERT INTO wfg.alembic_version (version_num) VALUES ('0001') RETURNING wfg.alembic_version.version_num;

$migration$;

do $$
begin
  perform pg_advisory_xact_lock(2003199744);   -- alembic's: one upgrade of a database at a time

  if to_regclass('wfg.alembic_version') is not null then
    if exists (select from wfg.alembic_version v where v.version_num >= '0001') then
      return;
    end if;
  end if;

  execute current_setting('wfg.migration');
end;
$$;

-- Supabase's advisor asks for a search_path of every function. Those of schema wfg run below one that has it,
-- and inherit it; one of their own changes nothing but costs up to 2 microseconds a call, so only here.
do $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid::regprocedure
      from pg_catalog.pg_proc p
     where p.pronamespace = 'wfg'::regnamespace
       and not exists (select from unnest(p.proconfig) s (setting) where s.setting like 'search\_path=%')
  loop
    execute format('alter function %s set search_path = pg_catalog, pg_temp', v_function);
  end loop;
end;
$$;

reset wfg.migration;
reset check_function_bodies;
