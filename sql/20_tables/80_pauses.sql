-- What hands out no jobs until it is resumed: a workflow, the jobs that require all of some labels, everything. A pause
-- of labels, or of everything, takes lanes out of the label sets. That of a workflow is asked for by the claims, which
-- put its jobs aside as they meet them: into lane -id, which is in no label set.
create table wfg.pauses (
  id          integer     generated always as identity,
  namespace   text        not null,
  kind        text        not null,
  workflow_id text,
  labels      text[],                      -- sorted, distinct
  paused_at   timestamptz not null,
  paused_by   text,
  reason      text,

  constraint pauses_pkey primary key (id),
  constraint pauses_of_workflow foreign key (namespace, workflow_id) references wfg.workflows (namespace, id),
  constraint pauses_kind_known check (kind in ('workflow', 'labels', 'all')),
  constraint pauses_name_what_is_paused check (
    (workflow_id is not null) = (kind = 'workflow') and (labels is not null) = (kind = 'labels')
  )
);

create unique index pauses_by_workflow on wfg.pauses (namespace, workflow_id);
create unique index pauses_by_labels on wfg.pauses (namespace, labels) where labels is not null;
create unique index pauses_of_everything on wfg.pauses (namespace) where kind = 'all';


-- Which database this is, in one row: written by the first put or claim. A copy, restored or cloned, finds that it is
-- another one, and freezes. A standby that is promoted is the same.
create table wfg.homes (
  id                integer     not null,
  system_identifier bigint      not null,  -- of the cluster: pg_control_system()
  database_oid      oid         not null,
  written_at        timestamptz not null,

  constraint homes_pkey primary key (id),
  constraint homes_is_one_row check (id = 1)
);
