create or replace function wfg.lane_depths(
  p_limit integer,
  p_now   timestamptz
)
  returns wfg.lane_depth[]
  language plpgsql
  stable
as $$
declare
  v_lane_id integer := 0;   -- less than any
  v_left    integer := p_limit;
  v_depth   wfg.lane_depth;
  v_depths  wfg.lane_depth[] := '{}'::wfg.lane_depth[];
begin
  while cardinality(v_depths) < p_limit / 50 loop
    select q.lane_id
      into v_lane_id
      from wfg.queue q
     where q.lease_nonce is null
       and q.lane_id > v_lane_id
     order by q.lane_id
     limit 1;

    exit when not found;

    -- The first entry is the oldest, so its age is right also where counting ends early.
    select v_lane_id,
           count(*) filter (where e.ready_at <= p_now),
           count(*) filter (where e.ready_at > p_now and e.held_from is null),
           count(*) filter (where e.ready_at > p_now and e.held_from is not null),
           min(e.ready_at) filter (where e.ready_at <= p_now)
      into v_depth
      from (
             select q.ready_at, q.held_from
               from wfg.queue q
              where q.lane_id = v_lane_id
                and q.lease_nonce is null
              order by q.ready_at
              limit greatest(v_left, 1)
           ) e;

    v_left := v_left - v_depth.ready - v_depth.delayed - v_depth.held;
    v_depths := v_depths || v_depth;
  end loop;

  return v_depths;
end;
$$;

comment on function wfg.lane_depths(integer, timestamptz) is
$$What is not leased, lane by lane: a range of queue_ready each.

p_limit: so many entries are counted, of a fiftieth as many lanes. Where that ends early, of each lane left the first
entry is looked at, for its age.$$;
