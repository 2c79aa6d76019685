create or replace function wfg.lease(
  p_picked    wfg.job_ref[],
  p_worker_id text,
  p_ttl_secs  integer,
  p_now       timestamptz
)
  returns json[]
  language plpgsql
  volatile
as $$
declare
  v_claims json[];
begin
  with leased as (
    update wfg.queue q
       set lease_nonce = gen_random_uuid(),
           worker_id   = p_worker_id,
           ttl_secs    = p_ttl_secs,
           leased_at   = p_now,
           timeout_at  = p_now + make_interval(secs => s.timeout_secs),
           expires_at  = p_now + make_interval(secs => least(p_ttl_secs, s.timeout_secs)),
           held_from   = null
      from unnest(p_picked) with ordinality k (run_id, job_no, is_wide, ord),
           wfg.job_specs s
     where q.run_id = k.run_id
       and q.job_no = k.job_no
       and s.version_id = q.version_id
       and s.job_no = q.job_no
    returning q as entry, s as spec, k.ord
  )
  select array_agg(wfg.claim_json(l.entry, l.spec, r) order by l.ord)
    into v_claims
    from leased l
    join wfg.runs r on r.id = (l.entry).run_id;

  return v_claims;
end;
$$;

comment on function wfg.lease(wfg.job_ref[], text, integer, timestamptz) is
'Lease these rows, which are locked, until the earlier of their time to live and the timeout of the job.';
