-- POST /api/runs/{id}/cancel, POST /api/workflows/{id}/cancel
create or replace function public.wfg_cancel_run(
  p_run_id       text,
  p_cancelled_by text default null,
  p_reason       text default null
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
  v_run   wfg.runs;
  v_state text;
begin
  perform wfg.check_text('p_cancelled_by', p_cancelled_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  v_run := wfg.resolve_run(p_run_id);

  if v_run.id is not null then
    v_state := wfg.cancel_run(v_run.id, p_cancelled_by, p_reason);   -- null: pruned meanwhile
  end if;

  if v_state is null then
    perform wfg.check_no_run_yet(p_run_id);

    return json_build_object('run_id', null, 'run', 'queued');
  end if;

  return json_build_object('run_id', v_run.id, 'run', v_state);
end;
$$;

comment on function public.wfg_cancel_run(text, text, text) is
$$Cancel a run: its open jobs and the run are over in this call; workers learn it from their next renewal.

p_run_id: a run's id, or a workflow's: then its latest run of the workflow door, and nothing happens if it has none.
Cancelling what has ended changes nothing. p_cancelled_by, p_reason: free text, kept with the run.
Answers {"run_id","run":"cancelled"}, or the state that the run ended in before.
Errors: 404 run_not_found, workflow_not_found; 422 invalid_request.$$;
