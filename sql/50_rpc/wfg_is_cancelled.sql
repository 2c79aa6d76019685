-- GET /api/jobs/{wf_id}/{job_id}/cancelled
create or replace function public.wfg_is_cancelled(
  p_workflow_id text,
  p_job_id      text
)
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
  v_run wfg.runs;
begin
  -- By a workflow's id, an old worker asks too: a cancelled lease that lives is meant, whatever run is latest.
  if exists (
       select
         from wfg.queue q
        where q.cancelled_workflow_id = p_workflow_id
          and q.cancelled_job_id = p_job_id
          and q.expires_at > wfg.now()
     )
  then
    return to_json(true);
  end if;

  v_run := wfg.resolve_run(p_workflow_id);

  return to_json(
    exists (
      select
        from wfg.job_specs s
        join wfg.jobs j on j.run_id = v_run.id and j.job_no = s.job_no
       where s.version_id = v_run.version_id
         and s.key = p_job_id
         and j.state = 'cancelled'
    )
  );
end;
$$;

comment on function public.wfg_is_cancelled(text, text) is
$$Whether a worker on this job should stop: true or false; false for unknown ids.

p_workflow_id: as the claim said it. For a workflow's id it is true while a cancelled lease of that job lives, and else
tells whether the job is cancelled in the latest run of the workflow door.$$;
