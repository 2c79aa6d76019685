create or replace function wfg.run_in_the_way(p_run wfg.runs)
  returns wfg.runs
  language plpgsql
  volatile
as $$
declare
  v_run wfg.runs;
begin
  select r.*
    into v_run
    from wfg.runs r
   where r.namespace = p_run.namespace
     and r.workflow_id = p_run.workflow_id
     and (
           (p_run.idempotency_key is not null and r.idempotency_key = p_run.idempotency_key)
           or (p_run.door = 'workflow' and r.door = 'workflow' and r.state = 'active')
         )
   limit 1;

  return v_run;
end;
$$;

comment on function wfg.run_in_the_way(wfg.runs) is
'The run that kept this one from being inserted: of the same idempotency key, or active at the workflow door. A null row: none any more.';
