create or replace function wfg.lock_ready(
  p_share wfg.lane_share,
  p_now   timestamptz
)
  returns wfg.job_ref[]
  language plpgsql
  volatile
as $$
begin
  return (
    select array_agg((k.run_id, k.job_no, false)::wfg.job_ref)
      from (
             select q.run_id, q.job_no
               from wfg.queue q
              where q.lane_id = p_share.lane_id
                and q.lease_nonce is null
                and q.ready_at between p_share.low_water_at and p_now
              order by q.ready_at, q.run_id, q.job_no
              limit p_share.jobs
                for update skip locked
           ) k
  );
end;
$$;

comment on function wfg.lock_ready(wfg.lane_share, timestamptz) is
'Lock the first ready jobs of a lane that nobody else has locked. Null when there are none.';
