create or replace function wfg.lock_door(p_workflow_id text)
  returns uuid
  language plpgsql
  volatile
as $$
begin
  -- wfg.insert_runs then writes this row. So a start whose snapshot is older (repeatable read) gets 40001: it would not
  -- see the cancelled leases of runs that began and ended since.
  return (
    select w.latest_run_id
      from wfg.workflows w
     where w.namespace = wfg.namespace()
       and w.id = p_workflow_id
       for no key update
  );
end;
$$;

comment on function wfg.lock_door(text) is
'Starts at the workflow door of a workflow go one at a time: the id of its latest run, null when there is none.';
