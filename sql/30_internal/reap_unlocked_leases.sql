create or replace function wfg.reap_unlocked_leases(
  p_limit integer,
  p_now   timestamptz
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_mark constant wfg.lane_marks := (select m from wfg.lane_marks m where m.lane_id = 0);
  v_moves         wfg.transition[];
  v_group         wfg.transition[];
  v_locked        wfg.transition[];
  v_blocked       uuid[] := '{}'::uuid[];
  v_ended         integer := 0;
begin
  -- What one run's locks hold up must not hold up the others: look again, without the runs that were blocked.
  for v_turn in 1 .. 3 loop
    v_locked := null;
    v_moves := wfg.expired_leases(p_limit - v_ended, coalesce(v_mark.low_water_at, '-infinity'), v_blocked, p_now);

    -- The final failures of a run in one set: they skip the same jobs.
    for v_group in
      select array_agg(m)
        from unnest(v_moves) m
       group by m.run_id, case when m.move <> 'failure' then m.job_no end
    loop
      if wfg.try_lock_leases(v_group) then
        v_locked := v_locked || v_group;
      else
        v_blocked := v_blocked || v_group[1].run_id;
      end if;
    end loop;

    perform wfg.reap_locked_leases(v_locked, p_now);
    v_ended := v_ended + coalesce(cardinality(v_locked), 0);

    exit when v_ended >= p_limit or cardinality(v_locked) is not distinct from cardinality(v_moves);
  end loop;

  perform wfg.refresh_marks(
    array[(0, 0, v_mark.low_water_at, v_mark.look_at, v_mark.refreshed_at)::wfg.lane_head],
    p_now
  );

  return v_ended;
end;
$$;

comment on function wfg.reap_unlocked_leases(integer, timestamptz) is
$$End leases that are over without waiting for anything: what cannot be locked whole is left for the next turn.

Answers how many were ended.$$;
