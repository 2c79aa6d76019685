-- POST /api/jobs/{lease_id}/logs
create or replace function public.wfg_append_logs(
  p_lease_id text,
  p_chunks   jsonb
)
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
  v_lease   wfg.queue;
  v_now     timestamptz;
  v_dropped integer;
begin
  perform wfg.check_chunks(p_chunks);

  v_lease := wfg.lock_lease(p_lease_id);
  v_now := wfg.now();
  perform wfg.check_lease(v_lease, v_now);
  perform wfg.check_chunk_ids(p_chunks, v_lease);

  v_dropped := wfg.store_chunks(v_lease, p_chunks);
  perform wfg.touch_worker(v_lease.worker_id, null, v_now);

  return json_build_object(
    'accepted', jsonb_array_length(p_chunks) - v_dropped,
    'truncated', v_dropped > 0
  );
end;
$$;

comment on function public.wfg_append_logs(text, jsonb) is
$$Keep pieces of output of a leased job. Sent again, a chunk is kept once: by its sequence in the attempt.

p_chunks: array of at most 10000 {"workflow_id","job_id","sequence","data","timestamp_ms","stream"}, all required, the
ids as the claim said them; sequence counts from 0 in each attempt; stream is stdout or stderr.
A job keeps 16 MiB (limit job_log_bytes), all attempts together; then a marker, and no more: "truncated":true, and what
was dropped is not among "accepted". A cancelled lease may still append.
Answers {"accepted","truncated"}. Errors: 409 lease_not_held; 422 invalid_request.$$;
