create or replace function wfg.check_known_workflow(p_workflow_id text)
  returns void
  language plpgsql
  volatile
as $$
begin
  perform wfg.check_given('p_workflow_id', p_workflow_id);

  perform
     from wfg.workflows w
    where w.namespace = wfg.namespace()
      and w.id = p_workflow_id
      for key share;

  if not found then
    perform wfg.current_version(p_workflow_id);   -- raises workflow_not_found
  end if;
end;
$$;

comment on function wfg.check_known_workflow(text) is
'Refuse a workflow that never was, and keep it from being pruned until commit: one that was deleted may have runs.
Errors: 404 workflow_not_found; 422 invalid_request.';
