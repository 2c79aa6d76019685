create or replace function wfg.expected_indexes()
  returns table (name text, fix text)
  language sql
  immutable
as $$
  values
    ('attempts_pkey', 'alter table wfg.attempts add primary key (run_id, job_no, attempt);'),
    ('homes_pkey', 'alter table wfg.homes add primary key (id);'),
    ('job_specs_by_lane', 'create index job_specs_by_lane on wfg.job_specs (lane_id);'),
    ('job_specs_keyed', 'alter table wfg.job_specs add constraint job_specs_keyed unique (key, version_id);'),
    ('job_specs_pkey', 'alter table wfg.job_specs add primary key (version_id, job_no);'),
    ('jobs_pkey', 'alter table wfg.jobs add primary key (run_id, job_no);'),
    ('join_slots_pkey', 'alter table wfg.join_slots add primary key (run_id, job_no, slot);'),
    (
      'label_sets_distinct',
      'alter table wfg.label_sets add constraint label_sets_distinct unique (namespace, labels);'
    ),
    ('label_sets_pkey', 'alter table wfg.label_sets add primary key (id);'),
    ('lane_marks_pkey', 'alter table wfg.lane_marks add primary key (lane_id);'),
    (
      'lanes_distinct',
      'alter table wfg.lanes add constraint lanes_distinct unique (namespace, labels, priority);'
    ),
    ('lanes_pkey', 'alter table wfg.lanes add primary key (id);'),
    ('limits_pkey', 'alter table wfg.limits add primary key (namespace, name);'),
    ('log_chunks_pkey', 'alter table wfg.log_chunks add primary key (run_id, job_no, attempt, sequence);'),
    ('outputs_pkey', 'alter table wfg.outputs add primary key (run_id, job_no);'),
    (
      'pauses_by_labels',
      'create unique index pauses_by_labels on wfg.pauses (namespace, labels) where labels is not null;'
    ),
    (
      'pauses_by_workflow',
      'create unique index pauses_by_workflow on wfg.pauses (namespace, workflow_id);'
    ),
    (
      'pauses_of_everything',
      'create unique index pauses_of_everything on wfg.pauses (namespace) where kind = ''all'';'
    ),
    ('pauses_pkey', 'alter table wfg.pauses add primary key (id);'),
    ('queue_by_expiry', 'create index queue_by_expiry on wfg.queue (expires_at) where lease_nonce is not null;'),
    (
      'queue_cancelled',
      'create index queue_cancelled on wfg.queue (cancelled_workflow_id, cancelled_job_id)'
        || ' where cancelled_workflow_id is not null;'
    ),
    ('queue_pkey', 'alter table wfg.queue add primary key (run_id, job_no);'),
    (
      'queue_ready',
      'create index queue_ready on wfg.queue (lane_id, ready_at, run_id, job_no)'
        || ' where lease_nonce is null;'
    ),
    ('run_slots_pkey', 'alter table wfg.run_slots add primary key (run_id, slot);'),
    (
      'runs_by_idempotency_key',
      'create unique index runs_by_idempotency_key on wfg.runs (namespace, workflow_id, idempotency_key)'
        || ' where idempotency_key is not null;'
    ),
    ('runs_by_version', 'create index runs_by_version on wfg.runs (version_id);'),
    ('runs_of_workflow', 'create index runs_of_workflow on wfg.runs (namespace, workflow_id, id);'),
    (
      'runs_one_active_of_workflow_door',
      'create unique index runs_one_active_of_workflow_door on wfg.runs (namespace, active_workflow_id)'
        || ' where active_workflow_id is not null;'
    ),
    ('runs_pkey', 'alter table wfg.runs add primary key (id);'),
    (
      'tokens_by_name',
      'create unique index tokens_by_name on wfg.tokens (namespace, name)'
        || ' where revoked_at is null;'
    ),
    ('tokens_distinct', 'alter table wfg.tokens add constraint tokens_distinct unique (sha256);'),
    ('tokens_pkey', 'alter table wfg.tokens add primary key (id);'),
    ('workers_pkey', 'alter table wfg.workers add primary key (namespace, id);'),
    (
      'workflow_versions_numbered',
      'alter table wfg.workflow_versions'
        || ' add constraint workflow_versions_numbered unique (namespace, workflow_id, version);'
    ),
    ('workflow_versions_pkey', 'alter table wfg.workflow_versions add primary key (id);'),
    (
      'workflows_by_creation',
      'create index workflows_by_creation on wfg.workflows (namespace, created_at, id)'
        || ' where deleted_at is null;'
    ),
    ('workflows_pkey', 'alter table wfg.workflows add primary key (namespace, id);')
$$;

comment on function wfg.expected_indexes() is
'The indexes of sql/20_tables, and what makes each: wfg_doctor says which is missing.';
