create or replace function wfg.run_in_the_way(p_run wfg.runs)
  returns wfg.runs
  language plpgsql
  volatile
as $$
declare
  v_run wfg.runs;
begin
  if p_run.idempotency_key is not null then
    select r.*
      into v_run
      from wfg.runs r
     where r.namespace = p_run.namespace
       and r.workflow_id = p_run.workflow_id
       and r.idempotency_key = p_run.idempotency_key;
  else
    select r.*
      into v_run
      from wfg.runs r
     where r.namespace = p_run.namespace
       and r.active_workflow_id = p_run.workflow_id;
  end if;

  return v_run;
end;
$$;

comment on function wfg.run_in_the_way(wfg.runs) is
'The run that kept this one from being inserted: of its idempotency key, or active at the workflow door. A null
row: it is gone.';
