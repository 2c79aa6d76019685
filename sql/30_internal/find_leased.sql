create or replace function wfg.find_leased(
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
  v_floor constant timestamptz := wfg.lane_floor(0, p_now);
  v_found          wfg.job_ref[];
begin
  -- All leases there are: so many as workers have hands, however long the queue is.
  v_found := array(
    select (l.run_id, l.job_no, null)::wfg.job_ref
      from (
             select q.*
               from wfg.queue q
              where q.lease_nonce is not null
                and q.expires_at >= v_floor
             offset 0
           ) l
     where (l.run_id, l.job_no) < (p_before.run_id, p_before.job_no)
       and l.cancelled_at is null
       and coalesce(p_filter.state, 'running') = 'running'
       and (p_filter.worker_id is null or l.worker_id = p_filter.worker_id)
       and (p_filter.lane_ids is null or l.lane_id = any (p_filter.lane_ids))
       and (
         p_filter.workflow_id is null
         or p_filter.workflow_id = (select v.workflow_id from wfg.workflow_versions v where v.id = l.version_id)
       )
     order by l.run_id desc, l.job_no desc
     limit p_limit + 1
  );

  return (v_found, cardinality(v_found), null)::wfg.job_walk;
end;
$$;

comment on function wfg.find_leased(wfg.job_filter, wfg.job_ref, integer, timestamptz) is
'As wfg.find_queued, of running jobs: to the end, or one more than p_limit.';
