create or replace function wfg.settle(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_any_bad      boolean;
  v_any_narrow   boolean;
  v_any_wide     boolean;
  v_any_wide_own boolean;
  v_doomed       wfg.job_ref[];
  v_deltas       wfg.job_delta[];
  v_ended        wfg.ended_job[];
begin
  select bool_or(m.move <> 'success'),
         bool_or(m.move = 'success' and m.narrow_children <> '{}'),
         bool_or(m.move = 'success' and m.wide_children <> '{}'),
         bool_or(m.is_wide)
    into v_any_bad, v_any_narrow, v_any_wide, v_any_wide_own
    from unnest(p_moves) m;

  if v_any_bad then
    v_doomed := wfg.doomed(p_moves);
  end if;

  -- The locks still missing: join slots, then wide jobs. Narrow jobs and leases were locked by the caller.
  if v_any_wide then
    v_deltas := wfg.count_down_joins(p_moves);
  end if;

  if v_any_wide_own or v_deltas is not null or v_doomed is not null then
    perform wfg.lock_wide_jobs(p_moves, v_doomed, v_deltas);
  end if;

  v_ended := wfg.end_jobs(p_moves, p_now);

  if v_doomed is not null then
    v_ended := v_ended || wfg.skip_jobs(v_doomed, p_moves, p_now);
  end if;

  if v_any_narrow or v_deltas is not null then
    perform wfg.release_children(p_moves, v_deltas, p_now);
  end if;

  perform wfg.count_down_runs(v_ended, p_now);
end;
$$;

comment on function wfg.settle(wfg.transition[], timestamptz) is
$$The one place where jobs end: their children are counted down and queued, what cannot run any more is skipped, and
their runs are counted down and ended. Complete, fail, cancel one and reap call it, over a set locked beforehand.$$;
