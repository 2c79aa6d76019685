create or replace function wfg.is_version_paused(p_version_id bigint)
  returns boolean
  language plpgsql
  volatile
as $$
begin
  return exists (
    select
      from wfg.workflow_versions v
      join wfg.pauses p on p.namespace = v.namespace and p.workflow_id = v.workflow_id
     where v.id = p_version_id
  );
end;
$$;

comment on function wfg.is_version_paused(bigint) is
'Whether the workflow of this version is paused. Asked by claims, for each job, while any workflow is.';
