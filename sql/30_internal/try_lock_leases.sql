create or replace function wfg.try_lock_leases(p_moves wfg.transition[])
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_jobs  wfg.job_ref[];
  v_slots smallint[];
begin
  -- A retry, and the end of a cancelled lease, touch nothing but the queue row.
  if p_moves[1].move <> 'failure' then
    return wfg.try_lock_queue_rows(p_moves);
  end if;

  v_jobs := array(
    select distinct k.ref
      from (
             select (m.run_id, m.job_no, m.is_wide)::wfg.job_ref as ref from unnest(p_moves) m
             union all
             select d from unnest(wfg.doomed(p_moves)) d
           ) k
  );

  if p_moves[1].in_wide_run then
    v_slots := array(select distinct (j.job_no % 16)::smallint from unnest(v_jobs) j);
  end if;

  return wfg.try_lock_jobs(v_jobs, false)
     and wfg.try_lock_queue_rows(p_moves)
     and wfg.try_lock_jobs(v_jobs, true)
     and wfg.try_lock_run(p_moves[1].run_id, v_slots);
end;
$$;

comment on function wfg.try_lock_leases(wfg.transition[]) is
$$Lock all that the end of these leases touches, in the order of all transitions, without waiting. False: some of it is
locked.

p_moves: one lease, or final failures of one run.$$;
