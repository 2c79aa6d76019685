create or replace function wfg.settle(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_doomed wfg.job_ref[];
  v_deltas wfg.job_delta[];
  v_ended  wfg.ended_job[];
begin
  if not exists (select from unnest(p_moves) m where m.move in ('success', 'failure', 'cancelled')) then
    return;
  end if;

  -- The locks still missing: join slots, then wide jobs. Narrow jobs and leases were locked by the caller.
  v_doomed := wfg.doomed(p_moves);
  v_deltas := wfg.count_down_joins(p_moves);
  perform wfg.lock_wide_jobs(p_moves, v_doomed, v_deltas);

  v_ended := wfg.end_jobs(p_moves, v_doomed, p_now);
  perform wfg.release_children(p_moves, v_deltas, p_now);

  delete from wfg.queue q
   using unnest(p_moves) m
   where m.move in ('success', 'failure')
     and q.run_id = m.run_id
     and q.job_no = m.job_no;

  perform wfg.count_down_runs(v_ended, p_now);
end;
$$;

comment on function wfg.settle(wfg.transition[], timestamptz) is
$$The one place where jobs end: their children are counted down and queued, what cannot run any more is skipped, and
their runs are counted down and ended. Complete, fail, cancel one and reap call it, over a set locked beforehand.$$;
