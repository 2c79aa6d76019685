create or replace function wfg.reap_unlocked_leases(
  p_limit integer,
  p_now   timestamptz
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_mark  constant wfg.lane_marks := (select m from wfg.lane_marks m where m.lane_id = 0);
  v_moves constant wfg.transition[] := wfg.expired_leases(p_limit, coalesce(v_mark.low_water_at, '-infinity'), p_now);
  v_group          wfg.transition[];
  v_locked         wfg.transition[];
begin
  -- The final failures of a run in one set: they skip the same jobs.
  for v_group in
    select array_agg(m)
      from unnest(v_moves) m
     group by m.run_id, case when m.move <> 'failure' then m.job_no end
  loop
    if wfg.try_lock_leases(v_group) then
      v_locked := v_locked || v_group;
    end if;
  end loop;

  perform wfg.reap_locked_leases(v_locked, p_now);
  perform wfg.refresh_marks(array[(0, 0, v_mark.low_water_at, v_mark.refreshed_at)::wfg.lane_head], p_now);

  return coalesce(cardinality(v_locked), 0);
end;
$$;

comment on function wfg.reap_unlocked_leases(integer, timestamptz) is
$$End leases that are over without waiting for anything: what cannot be locked whole is left for the next turn.

Answers how many were ended.$$;
