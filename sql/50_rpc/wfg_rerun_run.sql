-- POST /api/runs/{id}/rerun
create or replace function public.wfg_rerun_run(
  p_run_id          text,
  p_jobs            text default 'all',
  p_from_job_id     text default null,
  p_idempotency_key text default null,
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
  v_before wfg.runs;
  v_run    wfg.runs;
begin
  perform wfg.check_text('p_idempotency_key', p_idempotency_key, 200, true);
  perform wfg.check_text('p_started_by', p_started_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  if p_traceparent is not null then
    perform wfg.check_traceparent(p_traceparent);
  end if;

  if p_jobs is null or p_jobs not in ('all', 'failed') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_jobs: must be all or failed',
      hint    = 'Leave it out for all.';
  end if;

  if p_jobs = 'failed' and p_from_job_id is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_from_job_id: must be left out when p_jobs is failed',
      hint    = 'From a job on, what did not succeed runs again, too.';
  end if;

  v_before := wfg.known_run(p_run_id);
  v_run.namespace := v_before.namespace;
  v_run.workflow_id := v_before.workflow_id;
  v_run.version_id := v_before.version_id;
  v_run.door := 'run';
  v_run.inputs := v_before.inputs;
  v_run.rerun_of := v_before.id;
  v_run.idempotency_key := p_idempotency_key;
  v_run.started_by := p_started_by;
  v_run.reason := p_reason;
  v_run.traceparent := p_traceparent;

  if p_idempotency_key is not null then
    v_run.request_hash := wfg.request_hash(jsonb_build_array(p_run_id, p_jobs, p_from_job_id), null);
  end if;

  return wfg.start_rerun(v_run, p_jobs, p_from_job_id);
end;
$$;

comment on function public.wfg_rerun_run(text, text, text, text, text, text, text) is
$$Run a run that has ended again: a new run of the same version with the same inputs, which names it as rerun_of.

p_run_id: a run's id, or a workflow's: then its latest run of the workflow door.
p_jobs: all; or failed: those that did not succeed. p_from_job_id: this job, all that follows it, and what did not
succeed. The other jobs are kept: successes with the outputs, times and worker that they have, and their log is that of
the run in which they ran.
p_idempotency_key: as of wfg_start_run, of the same workflow. p_started_by, p_reason: free text, kept with the run.
p_traceparent: as of wfg_start_run; that of the run before is not handed on.
Answers {"run_id","workflow_id","version","created"}.
Errors: 404 run_not_found, workflow_not_found (also when it was deleted), job_not_found; 409 run_not_finished,
nothing_to_rerun, idempotency_key_reused; 422 invalid_request.$$;
