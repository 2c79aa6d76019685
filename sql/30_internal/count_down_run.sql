create or replace function wfg.count_down_run(
  p_run_id uuid,
  p_delta  integer,
  p_now    timestamptz
)
  returns text
  language plpgsql
  volatile
as $$
declare
  v_state text;
  v_end   bigint;
begin
  -- Whoever waits here for another session computes the row anew, and wfg.run_outcome reads in a fresh snapshot each
  -- time: so it sees the jobs that the other one ended.
  update wfg.runs r
     set open_left          = r.open_left - p_delta,
         state              = case when r.open_left > p_delta then r.state else wfg.run_outcome(r.id) end,
         finished_at        = case when r.open_left <= p_delta then p_now end,
         active_workflow_id = case when r.open_left > p_delta then r.active_workflow_id end
   where r.id = p_run_id
  returning r.state,
            case r.state
              when 'success' then nextval('wfg.total_runs_success')
              when 'failure' then nextval('wfg.total_runs_failure')
            end
       into v_state, v_end;

  if v_end is null then
    return 'running';
  end if;

  perform wfg.announce('wfg_runs', 0);

  return v_state;
end;
$$;

comment on function wfg.count_down_run(uuid, integer, timestamptz) is
'Take ended jobs (slots of a wide run) off the count of a run, and end it at zero. Answers its state on the wire.';
