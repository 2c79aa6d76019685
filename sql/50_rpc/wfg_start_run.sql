-- POST /api/workflows/{id}/runs
create or replace function public.wfg_start_run(
  p_workflow_id     text,
  p_inputs          jsonb default '{}',
  p_idempotency_key text default null,
  p_start_at        timestamptz default null,
  p_started_by      text default null,
  p_reason          text default null,
  p_traceparent     text default null
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
  v_run wfg.runs;
begin
  perform wfg.check_text('p_idempotency_key', p_idempotency_key, 200, true);
  perform wfg.check_text('p_started_by', p_started_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  if p_traceparent is not null then
    perform wfg.check_traceparent(p_traceparent);
  end if;

  if p_start_at in ('infinity', '-infinity') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_start_at: must be a finite time',
      hint    = 'Leave it out to start at once.';
  end if;

  v_run.workflow_id := p_workflow_id;
  v_run.door := 'run';
  v_run.inputs := coalesce(p_inputs, '{}');
  v_run.idempotency_key := p_idempotency_key;
  v_run.start_at := p_start_at;
  v_run.started_by := p_started_by;
  v_run.reason := p_reason;
  v_run.traceparent := p_traceparent;

  return wfg.start_run(v_run);
end;
$$;

comment on function public.wfg_start_run(text, jsonb, text, timestamptz, text, text, text) is
$$Start a run of the current version of a workflow: any number of them may be active at once.

p_inputs: object of input names and values, within the limit run_input_bytes (1 MiB); numbers and booleans may be sent
as text.
p_idempotency_key: 1 to 200 characters, unique per workflow: the same request again answers the first run, with
"created":false. Freed when that run is pruned.
p_start_at: no job is claimed before; null means at once. p_started_by, p_reason: free text, kept with the run.
p_traceparent: trace context of the caller, as W3C has it; handed on with each claim. It is not part of the request.
Answers {"run_id","workflow_id","version","created"}.
Errors: 404 workflow_not_found; 409 idempotency_key_reused; 422 invalid_request.$$;
