-- POST /api/workflows/{id}/runs/batch
create or replace function public.wfg_start_runs(
  p_workflow_id text,
  p_runs        jsonb,
  p_started_by  text default null,
  p_reason      text default null,
  p_traceparent text default null
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
  perform wfg.check_text('p_started_by', p_started_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  if p_traceparent is not null then
    perform wfg.check_traceparent(p_traceparent);
  end if;

  perform wfg.check_run_items(p_runs);

  return wfg.start_runs(p_workflow_id, p_runs, p_started_by, p_reason, p_traceparent);
end;
$$;

comment on function public.wfg_start_runs(text, jsonb, text, text, text) is
$$Start many runs of the current version of a workflow, in one transaction.

p_runs: array of at most 10000 {"inputs":{},"idempotency_key":"…","start_at_ms":~}, all three optional: as p_inputs,
p_idempotency_key and p_start_at of wfg_start_run. p_started_by, p_reason, p_traceparent: kept with each run.
Answers, in the order sent, {"ok":true,"run_id","version","created"}, or, when its key was used for another request,
{"ok":false,"message":"idempotency_key_reused","run_id"}: that item starts nothing, the others count.
Errors: 404 workflow_not_found; 422 invalid_request, naming the item and the field: none is started.$$;
