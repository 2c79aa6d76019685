create or replace function wfg.latest_run_id(p_workflow_id text)
  returns uuid
  language plpgsql
  volatile
as $$
begin
  return (
    select r.id
      from wfg.runs r
     where r.namespace = wfg.namespace()
       and r.workflow_id = p_workflow_id
       and r.door = 'workflow'
     order by r.id desc
     limit 1
  );
end;
$$;

comment on function wfg.latest_run_id(text) is
'The latest run of the workflow door, which has the greatest id: wfg.next_run_id sees to that. Null: there is none.';
