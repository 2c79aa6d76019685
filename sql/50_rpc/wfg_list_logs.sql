-- GET /api/workflows/{wf_id}/jobs/{job_id}/logs
create or replace function public.wfg_list_logs(
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
  v_run constant wfg.runs := wfg.resolve_run(p_workflow_id);
begin
  return coalesce(
    (
      select json_agg(
               json_build_object(
                 'workflow_id', p_workflow_id,
                 'job_id', p_job_id,
                 'sequence', c.sequence,
                 'data', c.data,
                 'timestamp_ms', c.timestamp_ms,
                 'stream', c.stream
               )
               order by c.attempt, c.sequence
             )
        from wfg.job_specs s
        join wfg.log_chunks c on c.run_id = wfg.ran_in(v_run, s.job_no) and c.job_no = s.job_no
       where s.version_id = v_run.version_id
         and s.key = p_job_id
    ),
    '[]'
  );
end;
$$;

comment on function public.wfg_list_logs(text, text) is
$$The whole log of a job, by attempt and sequence: an array of {"workflow_id","job_id","sequence","data","timestamp_ms",
"stream"}; [] for unknown ids.

p_workflow_id: a run's id, or a workflow's: then its latest run of the workflow door.
The log of a job that a re-run kept is that of the run in which it ran: nothing once that was pruned.$$;
