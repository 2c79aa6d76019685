create or replace function wfg.find_runs(
  p_filter wfg.run_filter,
  p_before uuid,
  p_limit  integer
)
  returns wfg.run_walk
  language plpgsql
  stable
as $$
declare
  v_until constant timestamptz := clock_timestamp() + interval '0.25 seconds';   -- time of work, not of the engine
  v_count          integer := p_limit + 1;
  v_walk           wfg.run_walk;
  v_all            wfg.run_walk := ('{}'::uuid[], 0, p_before)::wfg.run_walk;
begin
  loop
    v_walk := wfg.walk_runs(p_filter, v_all.last_id, v_count);

    v_all.found   := v_all.found || v_walk.found;
    v_all.walked  := v_all.walked + v_walk.walked;
    v_all.last_id := case when v_walk.walked = v_count then v_walk.last_id end;

    exit when v_all.last_id is null
           or cardinality(v_all.found) > p_limit
           or v_all.walked >= 10000
           or clock_timestamp() > v_until;

    v_count := least(2 * v_count, 1000, 10000 - v_all.walked);
  end loop;

  return v_all;
end;
$$;

comment on function wfg.find_runs(wfg.run_filter, uuid, integer) is
$$Runs below an id that match, newest first: at least one more than p_limit, or those among 10000 runs, or found in a
quarter of a second.

last_id is null when there are no more.$$;
