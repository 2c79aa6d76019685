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
