create or replace function wfg.resolve_run(p_id text)
  returns wfg.runs
  language plpgsql
  stable
as $$
declare
  v_run wfg.runs;
begin
  if wfg.is_run_id(p_id) then
    select r.* into v_run from wfg.runs r where r.id = p_id::uuid;
  else
    select r.*
      into v_run
      from wfg.runs r
     where r.namespace = wfg.namespace()
       and r.workflow_id = p_id
       and r.door = 'workflow'
     order by r.id desc
     limit 1;
  end if;

  return v_run;
end;
$$;

comment on function wfg.resolve_run(text) is
'The run that an id means: a run''s own, or for a workflow''s id its latest run of the workflow door. A null
row: none.';
