create or replace function wfg.check_no_run_yet(p_id text)
  returns void
  language plpgsql
  stable
as $$
begin
  if wfg.is_run_id(p_id) then
    raise sqlstate 'PT404' using
      message = 'run_not_found',
      detail  = format('There is no run %s.', p_id),
      hint    = 'It may have been pruned.';
  end if;

  perform wfg.current_version(p_id);
end;
$$;

comment on function wfg.check_no_run_yet(text) is
'For an id that wfg.resolve_run found no run for: passes if it is a workflow without a run of its door, else
raises the 404.';
