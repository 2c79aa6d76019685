-- POST /api/jobs/claim-many
create or replace function public.wfg_claim_jobs(
  p_worker_id text,
  p_labels    jsonb,
  p_limit     integer,
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
  v_claims constant text[] := wfg.claim(p_worker_id, p_labels, p_limit, p_ttl_secs);
begin
  return ('[' || coalesce(array_to_string(v_claims, ','), '') || ']')::json;
end;
$$;

comment on function public.wfg_claim_jobs(text, jsonb, integer, integer) is
$$Lease up to p_limit (1 to 1000) ready jobs in one go: an array of what wfg_claim_job answers, [] when there are none.

55P03 as wfg_claim_job. Errors: 422 invalid_request.$$;
