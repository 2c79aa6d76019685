-- POST /api/runs/{id}/jobs/{job_id}/cancel
create or replace function public.wfg_cancel_job(
  p_run_id text,
  p_job_id text
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
  v_run    wfg.runs := wfg.known_run(p_run_id);
  v_job_no constant integer := wfg.job_no(v_run.version_id, p_job_id);
begin
  -- It may become ready between our look at the queue and our lock: then look again.
  while not wfg.cancel_job(v_run.id, v_job_no) loop
    null;
  end loop;

  return json_build_object(
    'job', (select j.state from wfg.jobs j where j.run_id = v_run.id and j.job_no = v_job_no),
    'run', wfg.run_state(v_run.id)
  );
end;
$$;

comment on function public.wfg_cancel_job(text, text) is
$$Cancel one job of a run; all that depends on it is skipped. What has ended is left as it is.

p_run_id: a run's id, or a workflow's: then its latest run of the workflow door.
Answers {"job":"cancelled","run":"failure"}, their states.
Errors: 404 run_not_found, workflow_not_found, job_not_found.$$;
