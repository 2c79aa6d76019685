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
  is_paused boolean not null default false, -- by its labels, or with everything: then in no label set

  constraint lanes_pkey primary key (id),
  constraint lanes_distinct unique (namespace, labels, priority)
);


-- One distinct set of worker labels, with the lanes it may take, but for paused ones: highest priority first.
create table wfg.label_sets (
  id         integer     generated always as identity,
  namespace  text        not null,
  labels     text[]      not null,         -- sorted, distinct
  lane_ids   integer[]   not null,
  priorities integer[]   not null,         -- of those lanes, in the same order
  used_at    timestamptz not null,         -- to the hour; unused for a day means pruned
  any_paused boolean     not null default false, -- a workflow is: claims ask of each job

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
