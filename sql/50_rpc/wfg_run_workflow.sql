-- POST /api/workflows/{id}/run
create or replace function public.wfg_run_workflow(
  p_workflow_id text,
  p_inputs      jsonb default '{}',
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
declare
  v_run wfg.runs;
begin
  if p_traceparent is not null then
    perform wfg.check_traceparent(p_traceparent);
  end if;

  v_run.workflow_id := p_workflow_id;
  v_run.door := 'workflow';
  v_run.inputs := coalesce(p_inputs, '{}');
  v_run.traceparent := p_traceparent;

  return wfg.start_run(v_run);
end;
$$;

comment on function public.wfg_run_workflow(text, jsonb, text) is
$$Run a workflow, unless a run started here is still active: then that one is the answer, with "created":false.

Only this function is the workflow door: its latest run is what status, cancel, logs and `cancelled?` mean by the
workflow's id. Runs of wfg_start_run neither block it nor are blocked.
p_traceparent: as of wfg_start_run.
Answers {"run_id","workflow_id","version","created"}.
Errors: 404 workflow_not_found; 422 invalid_request (inputs, traceparent).$$;
