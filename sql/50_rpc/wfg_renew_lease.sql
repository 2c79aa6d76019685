-- POST /api/jobs/{lease_id}/heartbeat
create or replace function public.wfg_renew_lease(p_lease_id text)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_lease wfg.queue;
  v_now   timestamptz;
begin
  v_lease := wfg.lock_lease(p_lease_id);
  v_now := wfg.now();
  perform wfg.check_lease(v_lease, v_now);

  if v_lease.cancelled_at is null then
    v_lease.expires_at := least(v_now + make_interval(secs => v_lease.ttl_secs), v_lease.timeout_at);

    update wfg.queue q
       set expires_at = v_lease.expires_at
     where q.run_id = v_lease.run_id
       and q.job_no = v_lease.job_no;
  end if;

  perform wfg.touch_worker(v_lease.worker_id, null, v_now);

  return json_build_object(
    'lease_expires_at_ms', wfg.epoch_ms(v_lease.expires_at),
    'stop', case when v_lease.cancelled_at is not null then 'cancelled' end
  );
end;
$$;

comment on function public.wfg_renew_lease(text) is
$$Extend a lease by its own time to live from now, never beyond the timeout of the job.

A cancelled lease is not extended, and answers "stop":"cancelled": stop working, then acknowledge by fail or release.
Answers {"lease_expires_at_ms","stop"}, epoch milliseconds. Errors: 409 lease_not_held.$$;
