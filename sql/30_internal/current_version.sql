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
