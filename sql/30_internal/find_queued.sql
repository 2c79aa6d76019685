create or replace function wfg.find_queued(
  p_filter wfg.job_filter,
  p_before wfg.job_ref,
  p_limit  integer,
  p_now    timestamptz
)
  returns wfg.job_walk
  language plpgsql
  stable
as $$
declare
  v_until constant timestamptz := clock_timestamp() + interval '0.25 seconds';   -- time of work, not of the engine
  v_count          integer := p_limit + 1;
  v_walk           wfg.job_walk;
  v_all            wfg.job_walk := ('{}'::wfg.job_ref[], 0, p_before)::wfg.job_walk;
begin
  loop
    v_walk := wfg.walk_queue(p_filter, v_all.last, v_count, p_now);

    v_all.found  := v_all.found || v_walk.found;
    v_all.walked := v_all.walked + v_walk.walked;
    v_all.last   := case when v_walk.walked = v_count then v_walk.last end;

    exit when (v_all.last).run_id is null
           or cardinality(v_all.found) > p_limit
           or v_all.walked >= 10000
           or clock_timestamp() > v_until;

    v_count := least(2 * v_count, 1000, 10000 - v_all.walked);
  end loop;

  return v_all;
end;
$$;

comment on function wfg.find_queued(wfg.job_filter, wfg.job_ref, integer, timestamptz) is
$$Entries of the queue that match, in descending order of their keys: at least one more than p_limit, or those among
10000 entries, or found in a quarter of a second.

last is null when there are no more.$$;
