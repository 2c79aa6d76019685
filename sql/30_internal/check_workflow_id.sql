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
