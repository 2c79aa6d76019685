-- GET /api/runs/{id}/jobs/{job_id}
create or replace function public.wfg_get_job(
  p_run_id text,
  p_job_id text
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
  v_run    constant wfg.runs := wfg.known_run(p_run_id);
  v_no     constant integer := wfg.job_no(v_run.version_id, p_job_id);
  v_ran_in constant uuid := wfg.ran_in(v_run, v_no);
begin
  return (
    select json_build_object(
             'run_id', v_run.id,
             'workflow_id', v_run.workflow_id,
             'ran_in', v_ran_in,
             'job', wfg.job_json(j, s, q, wfg.pause_of(v_run.workflow_id, s.labels)),
             'command', s.command,
             'required_labels', s.labels,
             'outputs', coalesce(j.outputs, o.outputs, '{}'),
             'attempts', wfg.attempts_json(v_ran_in, v_no)
           )
      from wfg.jobs j
      join wfg.job_specs s on s.version_id = v_run.version_id and s.job_no = j.job_no
      left join wfg.queue q on q.run_id = j.run_id and q.job_no = j.job_no
      left join wfg.outputs o on o.run_id = j.run_id and o.job_no = j.job_no
     where j.run_id = v_run.id
       and j.job_no = v_no
  );
end;
$$;

comment on function public.wfg_get_job(text, text) is
$$A job of a run with its outputs and its earlier attempts (sql/README.md, JobDetail). All times are epoch milliseconds.

ran_in: this run, or of a kept job that which it ran in: attempts are those of there. That run may have been pruned.
attempts: those that did not end the job, and a cancelled one.
Errors: 404 run_not_found, workflow_not_found, job_not_found.$$;
