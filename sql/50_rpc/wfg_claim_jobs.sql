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
as $$
declare
  v_claims constant json[] := wfg.claim(p_worker_id, p_labels, p_limit, p_ttl_secs);
begin
  return coalesce(array_to_json(v_claims), '[]');
end;
$$;

comment on function public.wfg_claim_jobs(text, jsonb, integer, integer) is
$$Lease up to p_limit (1 to 1000) ready jobs in one go: an array of what wfg_claim_job answers, [] when there are none.

Errors: 422 invalid_request.$$;
