create or replace function wfg.lease_first(
  p_lane       wfg.lane_head,
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
  v_lease wfg.granted_lease;
begin
  update wfg.queue q
     set lease_nonce = gen_random_uuid(),
         worker_id   = p_worker_id,
         ttl_secs    = p_ttl_secs,
         leased_at   = p_now,
         timeout_at  = p_now + make_interval(secs => s.timeout_secs),
         expires_at  = p_now + make_interval(secs => least(p_ttl_secs, s.timeout_secs)),
         held_from   = null
    from wfg.job_specs s,
         wfg.runs r
   where q.ctid = (
           select k.ctid
             from wfg.queue k
            where k.lane_id = p_lane.lane_id
              and k.lease_nonce is null
              and k.ready_at between p_lane.low_water_at and p_now
            order by k.ready_at, k.run_id, k.job_no
            limit 1
              for update skip locked
         )
     and s.version_id = q.version_id
     and s.job_no = q.job_no
     and r.id = q.run_id
     and case when p_any_paused then not wfg.is_version_paused(q.version_id) else true end
  returning q.run_id, q.job_no, q.version_id, q.ready_at, q.enqueued_at, q.attempt,
            q.lease_nonce, q.worker_id, q.ttl_secs, q.leased_at, q.expires_at,
            s.key, s.parents, s.claim_fixed, s.claim_command,
            r.door, r.workflow_id, r.inputs, r.traceparent, nextval('wfg.total_claims')
       into v_lease;

  if not found then
    return null;
  end if;

  return array[wfg.claim_json(v_lease)];
end;
$$;

comment on function wfg.lease_first(wfg.lane_head, text, integer, timestamptz, boolean) is
$$Lease the first ready job of a lane that nobody else has locked, in one statement.

Null when there is none, or when the one that it locked was written since the statement began, or is of a paused
workflow: wfg.pick knows.$$;
