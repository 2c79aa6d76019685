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
      from wfg.workflows w
      join wfg.runs r on r.id = w.latest_run_id
     where w.namespace = wfg.namespace()
       and w.id = p_id;
  end if;

  return v_run;
end;
$$;

comment on function wfg.resolve_run(text) is
'The run that an id means: a run''s own, or for a workflow''s id its latest run of the workflow door. A null
row: none.';
