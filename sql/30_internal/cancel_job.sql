create or replace function wfg.cancel_job(
  p_run_id uuid,
  p_job_no integer
)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_moves wfg.transition[] := wfg.cancellations(p_run_id, array[p_job_no]);
  v_now   timestamptz;
begin
  if v_moves is null then
    return true;
  end if;

  perform wfg.lock_narrow_jobs(v_moves);
  perform 1 from wfg.queue q where q.run_id = p_run_id and q.job_no = p_job_no for update;

  -- Who makes a wide job ready has its row locked: under that lock an unqueued one stays unqueued. One that was queued
  -- since we looked must have its queue row locked first: undo these locks, and look again.
  if v_moves[1].is_wide and not found then
    perform 1 from wfg.jobs j where j.run_id = p_run_id and j.job_no = p_job_no for update;

    if exists (select from wfg.queue q where q.run_id = p_run_id and q.job_no = p_job_no) then
      raise sqlstate 'WFG01';
    end if;
  end if;

  v_now := wfg.now();
  v_moves := wfg.cancellations(p_run_id, array[p_job_no]);
  perform wfg.settle(v_moves, v_now);
  perform wfg.cancel_leases(v_moves, v_now);

  return true;
exception
  when sqlstate 'WFG01' then
    return false;
end;
$$;

comment on function wfg.cancel_job(uuid, integer) is
'Cancel a job that has not ended, and skip what depends on it. False: it was queued in a race; nothing
happened, try again.';
