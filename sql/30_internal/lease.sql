create or replace function wfg.lease(
  p_share      wfg.lane_share,
  p_worker_id  text,
  p_ttl_secs   integer,
  p_now        timestamptz,
  p_any_paused boolean
)
  returns text[]
  language plpgsql
  volatile
as $$
declare
  v_claims text[];
begin
  with picked as (
    select q.run_id, q.job_no
      from wfg.queue q
     where q.lane_id = p_share.lane_id
       and q.lease_nonce is null
       and q.ready_at between p_share.low_water_at and p_now
     order by q.ready_at, q.run_id, q.job_no
     limit p_share.jobs
       for update skip locked
  ),
  leased as (
    update wfg.queue q
       set lease_nonce = gen_random_uuid(),
           worker_id   = p_worker_id,
           ttl_secs    = p_ttl_secs,
           leased_at   = p_now,
           timeout_at  = p_now + make_interval(secs => s.timeout_secs),
           expires_at  = p_now + make_interval(secs => least(p_ttl_secs, s.timeout_secs)),
           held_from   = null
      from picked k,
           wfg.job_specs s
     where q.run_id = any (array[k.run_id])
       and q.job_no = k.job_no
       and s.version_id = q.version_id
       and s.job_no = q.job_no + 0   -- not for the queue to be read by
       and case when p_any_paused then not wfg.is_version_paused(q.version_id) else true end
    returning q.run_id, q.job_no, q.version_id, q.ready_at, q.enqueued_at, q.attempt,
              q.lease_nonce, q.worker_id, q.ttl_secs, q.leased_at, q.expires_at,
              s.key, s.parents, s.claim_fixed, s.claim_command
  )
  select array_agg(
           wfg.claim_json(
             (l.*, r.door, r.workflow_id, r.inputs, r.traceparent, nextval('wfg.total_claims'))::wfg.granted_lease
           )
           order by l.ready_at, l.run_id, l.job_no
         )
    into v_claims
    from leased l
    join wfg.runs r on r.id = l.run_id;

  return v_claims;
end;
$$;

comment on function wfg.lease(wfg.lane_share, text, integer, timestamptz, boolean) is
$$Lease the first ready jobs of a lane that nobody else has locked: a lost race falls on the next one. Of those that a
paused workflow has among them, none.

A lease lasts until the earlier of its time to live and the timeout of the job. Null when there are none.$$;
