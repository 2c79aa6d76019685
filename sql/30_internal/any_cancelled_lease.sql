create or replace function wfg.any_cancelled_lease()
  returns boolean
  language sql
  stable
as $$
  select exists (select from wfg.queue q where q.cancelled_workflow_id is not null);
$$;

comment on function wfg.any_cancelled_lease() is
'Whether a cancelled lease of the workflow door lives anywhere. Mostly not: one probe of an empty index.';
