-- GET /api/runs/{id}
create or replace function public.wfg_get_run(p_run_id text)
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
  v_run  constant wfg.runs := wfg.known_run(p_run_id);
  v_jobs json;
begin
  -- One probe each, by both columns: the run alone would be read whole for each job.
  select coalesce(
           json_agg(
             wfg.job_json(
               j.job, s, q.entry,
               case
                 when (q.entry).run_id is not null and exists (select from wfg.pauses) then
                   wfg.pause_of(v_run.workflow_id, s.labels)
               end
             )
             order by s.display_no
           ),
           '[]'
         )
    into v_jobs
    from wfg.job_specs s
   cross join lateral (
           select i as job
             from wfg.jobs i
            where i.run_id = v_run.id
              and i.job_no = s.job_no
           offset 0
         ) j
    left join lateral (
           select i as entry
             from wfg.queue i
            where i.run_id = v_run.id
              and i.job_no = s.job_no
           offset 0
         ) q on true
   where s.version_id = v_run.version_id;

  return wfg.run_json(v_run, v_jobs);
end;
$$;

comment on function public.wfg_get_run(text) is
$$A run with its jobs in the order of the file (sql/README.md, Run). All times are epoch milliseconds.

p_run_id: a run's id, or a workflow's: then its latest run of the workflow door.
state: queued, running, success, failure or cancelled; of a job also skipped. rerun_of: the run that this one repeats;
it may have been pruned. kept: the job did not run in this run, it is a success of that one.
Errors: 404 run_not_found, workflow_not_found.$$;
