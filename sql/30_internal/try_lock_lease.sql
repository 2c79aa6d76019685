create or replace function wfg.try_lock_lease(p_move wfg.transition)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_jobs  wfg.job_ref[];
  v_slots smallint[];
begin
  -- A retry, and the end of a cancelled lease, touch nothing but the queue row.
  if p_move.move <> 'failure' then
    return wfg.try_lock_queue_row(p_move.run_id, p_move.job_no);
  end if;

  v_jobs := (p_move.run_id, p_move.job_no, p_move.is_wide)::wfg.job_ref || wfg.doomed(array[p_move]);

  if p_move.in_wide_run then
    v_slots := array(select distinct (j.job_no % 16)::smallint from unnest(v_jobs) j);
  end if;

  return wfg.try_lock_jobs(v_jobs, false)
     and wfg.try_lock_queue_row(p_move.run_id, p_move.job_no)
     and wfg.try_lock_jobs(v_jobs, true)
     and wfg.try_lock_run(p_move.run_id, v_slots);
end;
$$;

comment on function wfg.try_lock_lease(wfg.transition) is
'Lock all that the end of this lease touches, in the order of all transitions, without waiting. False: some of
it is locked.';
