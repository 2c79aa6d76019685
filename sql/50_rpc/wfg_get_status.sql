-- GET /api/workflows/{id}/status
create or replace function public.wfg_get_status(p_workflow_id text)
  returns json
  language plpgsql
  stable
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
  v_run constant wfg.runs := wfg.resolve_run(p_workflow_id);
begin
  if v_run.id is not null then
    return wfg.workflow_json(p_workflow_id, v_run.version_id, v_run.id);
  end if;

  perform wfg.check_no_run_yet(p_workflow_id);

  return wfg.workflow_json(p_workflow_id, (wfg.current_version(p_workflow_id)).id, null);
end;
$$;

comment on function public.wfg_get_status(text) is
$$A run in the form of a Workflow with the status of its jobs.

p_workflow_id: a run's id, or a workflow's: then its latest run of the workflow door, or, if there is none yet, the
current version with all jobs queued.
Answers {"id","name","trigger","jobs":[{"id","name","status","command","duration_secs","started_at",…}]}.
Errors: 404 run_not_found, workflow_not_found.$$;
