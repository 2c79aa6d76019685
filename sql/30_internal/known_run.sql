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
