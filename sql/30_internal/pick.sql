create or replace function wfg.pick(
  p_lanes wfg.lane_head[],
  p_limit integer,
  p_now   timestamptz
)
  returns wfg.job_ref[]
  language plpgsql
  volatile
as $$
declare
  v_lanes  wfg.lane_head[] := p_lanes;
  v_shares wfg.lane_share[];
  v_share  wfg.lane_share;
  v_more   wfg.job_ref[];
  v_picked wfg.job_ref[];
  v_left   integer := p_limit;
begin
  while v_left > 0 and cardinality(v_lanes) > 0 loop
    v_shares := wfg.peek(v_lanes, v_left, p_now);

    exit when v_shares is null;

    foreach v_share in array v_shares loop
      v_more := wfg.lock_ready(v_share, p_now);
      v_picked := v_picked || v_more;
      v_left := v_left - coalesce(cardinality(v_more), 0);

      -- A lane that gives less than it showed is used up: the rest is locked or gone. Others may make up for it.
      if coalesce(cardinality(v_more), 0) < v_share.jobs then
        v_lanes := array(
          select (l.lane_id, l.priority, l.low_water_at, l.refreshed_at)::wfg.lane_head
            from unnest(v_lanes) l
           where l.lane_id <> v_share.lane_id
        );
      end if;
    end loop;
  end loop;

  return v_picked;
end;
$$;

comment on function wfg.pick(wfg.lane_head[], integer, timestamptz) is
$$Lock up to p_limit ready rows of the queue: highest priority first, then longest ready, then by key.

The heads of the lanes are peeked without locks to learn how many each gives; then each lane is locked in its own order
with skip locked, so a lost race falls on the next row of the lane. Null when there is nothing.$$;
