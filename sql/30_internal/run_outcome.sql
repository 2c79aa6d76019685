create or replace function wfg.run_outcome(p_run_id uuid)
  returns text
  language plpgsql
  volatile
as $$
begin
  if exists (select from wfg.jobs j where j.run_id = p_run_id and j.state in ('failure', 'cancelled')) then
    return 'failure';
  end if;

  return 'success';
end;
$$;

comment on function wfg.run_outcome(uuid) is
'The outcome of a run whose last job has ended. Volatile, so that it reads in a fresh snapshot.';
