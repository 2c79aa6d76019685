-- POST /api/workflows/{id}/pause
create or replace function public.wfg_pause_workflow(
  p_workflow_id text,
  p_paused_by   text default null,
  p_reason      text default null
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
  v_pause wfg.pauses;
begin
  perform wfg.check_text('p_paused_by', p_paused_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);
  perform wfg.check_known_workflow(p_workflow_id);

  v_pause.kind := 'workflow';
  v_pause.workflow_id := p_workflow_id;
  v_pause.paused_by := p_paused_by;
  v_pause.reason := p_reason;

  return wfg.pause_json(wfg.add_pause(v_pause));
end;
$$;

comment on function public.wfg_pause_workflow(text, text, text) is
$$Pause a workflow: its jobs wait, of all runs and versions; running ones go on, and may end, fail or be cancelled. Runs
of it are started as ever, and wait.

Once this is committed no claim hands out a job of it, also not one that another transaction queued before and commits
later. p_paused_by, p_reason: free text, kept with the pause. A deleted workflow, whose runs go on, can be paused too.
Answers the Pause (sql/README.md, Pause); of a workflow paused before, that of then.
Errors: 404 workflow_not_found; 422 invalid_request.$$;
