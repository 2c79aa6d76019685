create or replace function wfg.active_runs_before(
  p_before      uuid,
  p_workflow_id text,
  p_state       text,
  p_limit       integer
)
  returns wfg.runs[]
  language plpgsql
  stable
as $$
declare
  v_id   uuid := p_before;
  v_run  wfg.runs;
  v_runs wfg.runs[] := '{}'::wfg.runs[];
begin
  -- An active run has something in the queue: walk its runs, one probe each.
  while cardinality(v_runs) < p_limit loop
    select q.run_id into v_id from wfg.queue q where q.run_id < v_id order by q.run_id desc limit 1;

    exit when v_id is null;

    select r.* into v_run from wfg.runs r where r.id = v_id;

    if v_run.namespace = wfg.namespace()
       and v_run.state = 'active'
       and v_run.workflow_id = coalesce(p_workflow_id, v_run.workflow_id)
       and wfg.run_state(v_id) = p_state
    then
      v_runs := v_runs || v_run;
    end if;
  end loop;

  return v_runs;
end;
$$;

comment on function wfg.active_runs_before(uuid, text, text, integer) is
'Active runs with smaller ids that are queued, or running, newest first. p_workflow_id: null for all.';
