-- POST /api/workflows/{id}/resume
create or replace function public.wfg_resume_workflow(p_workflow_id text)
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
  perform wfg.check_known_workflow(p_workflow_id);

  v_pause.kind := 'workflow';
  v_pause.workflow_id := p_workflow_id;

  return json_build_object('workflow_id', p_workflow_id, 'resumed', wfg.end_pause(v_pause));
end;
$$;

comment on function public.wfg_resume_workflow(text) is
$$End the pause of a workflow: its jobs are handed out again, in their old places. Pauses of labels, and of everything,
stay in force.

Waits for claims under way. Answers {"workflow_id","resumed"}; false: it was not paused.
Errors: 404 workflow_not_found; 422 invalid_request.$$;
