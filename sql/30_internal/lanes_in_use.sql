create or replace function wfg.lanes_in_use(p_now timestamptz)
  returns wfg.lane_use[]
  language plpgsql
  stable
as $$
declare
  v_floor constant timestamptz := wfg.lane_floor(0, p_now);
  v_lane_ids       integer[];
  v_running        bigint[];
begin
  -- First, and once: in a nested loop the leases would be counted again for each lane.
  select array_agg(c.lane_id), array_agg(c.running)
    into v_lane_ids, v_running
    from (
           select q.lane_id, count(*) as running
             from wfg.queue q
            where q.lease_nonce is not null
              and q.expires_at >= v_floor
              and q.cancelled_at is null
            group by q.lane_id
         ) c;

  return array(
    select (l.id, l.labels, l.priority, f.floor_at, coalesce(r.running, 0), l.is_paused)::wfg.lane_use
      from wfg.lanes l
      left join unnest(v_lane_ids, v_running) r (lane_id, running) on r.lane_id = l.id
     cross join lateral (select wfg.lane_floor(l.id, p_now) as floor_at offset 0) f
     where l.namespace = wfg.namespace()
       and (
         r.running > 0
         or exists (
              select
                from wfg.queue q
               where q.lane_id = l.id
                 and q.lease_nonce is null
                 and q.ready_at >= f.floor_at
            )
       )
  );
end;
$$;

comment on function wfg.lanes_in_use(timestamptz) is
'The lanes with anything queued or running: one probe of queue_ready for each lane there is, and all leases.';
