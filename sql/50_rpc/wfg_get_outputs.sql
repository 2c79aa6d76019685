-- GET /api/runs/{id}/jobs/{job_id}/outputs
create or replace function public.wfg_get_outputs(
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
  v_run constant wfg.runs := wfg.known_run(p_run_id);
  v_no  constant integer := wfg.job_no(v_run.version_id, p_job_id);
begin
  return (
    select coalesce(j.outputs, o.outputs, '{}')
      from wfg.jobs j
      left join wfg.outputs o on o.run_id = j.run_id and o.job_no = j.job_no
     where j.run_id = v_run.id
       and j.job_no = v_no
  );
end;
$$;

comment on function public.wfg_get_outputs(text, text) is
$$The outputs that a job handed on: an object of strings, {} while there are none.

Errors: 404 run_not_found, workflow_not_found, job_not_found.$$;
