create or replace function wfg.wake_lanes(
  p_refs wfg.job_ref[],
  p_now  timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  perform wfg.announce('wfg_wake', l.lane_id)
     from (
            select distinct q.lane_id
              from unnest(p_refs) r
              join wfg.queue q on q.run_id = any (array[r.run_id]) and q.job_no = r.job_no
             where q.ready_at <= p_now
               and q.lane_id > 0
          ) l;
end;
$$;

comment on function wfg.wake_lanes(wfg.job_ref[], timestamptz) is
'These queue rows, ready again since before, may be claimed: wake who waits for their lanes. Channel wfg_wake.';
