create or replace function wfg.peek(
  p_lanes wfg.lane_head[],
  p_limit integer,
  p_now   timestamptz
)
  returns wfg.lane_share[]
  language plpgsql
  volatile
as $$
begin
  if cardinality(p_lanes) = 1 then
    return array[(p_lanes[1].lane_id, p_lanes[1].low_water_at, p_limit)::wfg.lane_share];
  end if;

  return (
    select array_agg(
             (s.lane_id, s.low_water_at, s.jobs)::wfg.lane_share
             order by s.priority desc, s.ready_at, s.lane_id
           )
      from (
             select t.lane_id, t.low_water_at, t.priority, min(t.ready_at) as ready_at, count(*)::integer as jobs
               from (
                      select l.lane_id, l.low_water_at, l.priority, q.ready_at
                        from unnest(p_lanes) l
                       cross join lateral (
                               select q.ready_at, q.run_id, q.job_no
                                 from wfg.queue q
                                where q.lane_id = l.lane_id
                                  and q.lease_nonce is null
                                  and q.ready_at between l.low_water_at and p_now
                                order by q.ready_at, q.run_id, q.job_no
                                limit p_limit
                             ) q
                       order by l.priority desc, q.ready_at, q.run_id, q.job_no
                       limit p_limit
                    ) t
              group by t.lane_id, t.low_water_at, t.priority
           ) s
  );
end;
$$;

comment on function wfg.peek(wfg.lane_head[], integer, timestamptz) is
'How many of the first p_limit ready jobs lie in which lane, without a lock. A lone lane is not looked at: it
gives all.';
