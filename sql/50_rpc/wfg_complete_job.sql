-- POST /api/jobs/{lease_id}/complete
create or replace function public.wfg_complete_job(
  p_lease_id text,
  p_outputs  jsonb default '{}'
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
begin
  perform wfg.check_outputs('p_outputs', p_outputs);

  return wfg.report_one(p_lease_id, 'success', p_outputs, null, false);
end;
$$;

comment on function public.wfg_complete_job(text, jsonb) is
$$Finish a leased job with success, and unblock whatever waited only for it.

Call it in the transaction of the worker's own writes and they happen exactly once: they commit with the completion, or
roll back with its refusal.
p_outputs: object of strings, within the limits job_output_bytes (1 MiB) and outputs_per_job (10000); handed to
dependents as upstream_outputs.
Answers {"job":"success","run":"running"}.
Errors: 409 lease_not_held, lease_cancelled, already_reported; 422 invalid_request.$$;
