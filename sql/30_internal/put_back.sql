create or replace function wfg.put_back(p_pause_id integer)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_lanes wfg.lane_share[];
  v_lane  wfg.lane_share;
begin
  -- Whoever has one locked is cancelling it. Wait for that: if it is undone, nobody else would find the job.
  with picked as (
    select q.run_id, q.job_no
      from wfg.queue q
     where q.lane_id = - p_pause_id
       and q.lease_nonce is null
     order by (q.run_id, q.job_no)
       for update
  ),
  back as (
    update wfg.queue q
       set lane_id = s.lane_id
      from picked k,
           wfg.job_specs s
     where q.run_id = any (array[k.run_id])
       and q.job_no = k.job_no
       and s.version_id = q.version_id
       and s.job_no = q.job_no + 0   -- not for the queue to be read by
    returning q.lane_id, q.ready_at
  )
  select array_agg((n.lane_id, n.ready_at, n.jobs)::wfg.lane_share)
    into v_lanes
    from (
           select b.lane_id, min(b.ready_at) as ready_at, count(*)::integer as jobs
             from back b
            group by b.lane_id
            order by b.lane_id
         ) n;

  foreach v_lane in array coalesce(v_lanes, '{}'::wfg.lane_share[]) loop
    -- Never waits: a mark that cannot be lowered now is lowered by the next scan from the bottom.
    update wfg.lane_marks m
       set low_water_at = least(m.low_water_at, v_lane.low_water_at)
     where m.lane_id = (select k.lane_id from wfg.lane_marks k where k.lane_id = v_lane.lane_id for update skip locked);

    perform wfg.announce('wfg_wake', v_lane.lane_id);
  end loop;
end;
$$;

comment on function wfg.put_back(integer) is
'Return what was put aside for a pause, locked and about to end, to its lanes, in its old place; wake who waits for
them.';
