-- POST /api/jobs/claim
create or replace function public.wfg_claim_job(
  p_worker_id text,
  p_labels    jsonb,
  p_ttl_secs  integer default 30
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set lock_timeout = '500ms'
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
  v_claims constant text[] := wfg.claim(p_worker_id, p_labels, 1, p_ttl_secs);
begin
  return coalesce(v_claims[1], 'null')::json;
end;
$$;

comment on function public.wfg_claim_job(text, jsonb, integer) is
$$Lease one ready job that a worker with these labels may run; JSON null when there is none.

p_labels: array of at most 100 strings (limit labels_per_worker), of 200 characters each (limit label_chars) and 1900
bytes in all; a job is taken if all its required
labels are among them. With !unlabeled among them, jobs that require none are left to others. p_ttl_secs: 1 to 86400,
how long the lease lasts unless renewed; the job's own timeout ends it too.
Answers {"job":{…},"lease":{…}}: sql/README.md, Claim. It waits for a lock for half a second at most, and never in the
usual way: 55P03 means ask again. Errors: 422 invalid_request.$$;
