create or replace function wfg.cancel_run(
  p_run_id       uuid,
  p_cancelled_by text,
  p_reason       text
)
  returns text
  language plpgsql
  volatile
as $$
declare
  v_state text;
  v_now   timestamptz;
  v_moves wfg.transition[];
begin
  while not wfg.lock_run(p_run_id) loop
    null;
  end loop;

  select r.state into v_state from wfg.runs r where r.id = p_run_id;

  if v_state is distinct from 'active' then
    return v_state;
  end if;

  v_now := wfg.now();
  v_moves := wfg.cancellations(p_run_id, null);
  perform wfg.end_jobs(v_moves, v_now);
  perform wfg.cancel_leases(v_moves, v_now);

  delete from wfg.run_slots s where s.run_id = p_run_id;
  delete from wfg.join_slots s where s.run_id = p_run_id;

  update wfg.runs r
     set state              = 'cancelled',
         open_left          = 0,
         finished_at        = v_now,
         active_workflow_id = null,
         cancelled_by       = p_cancelled_by,
         cancel_reason      = p_reason
   where r.id = p_run_id;

  perform nextval('wfg.total_runs_cancelled');
  perform wfg.announce('wfg_runs', 0);

  return 'cancelled';
end;
$$;

comment on function wfg.cancel_run(uuid, text, text) is
'Cancel all open jobs of a run, and with them the run. Answers its state: that of before, when it had ended; null when
it is gone.';
