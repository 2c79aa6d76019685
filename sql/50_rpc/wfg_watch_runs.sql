-- GET /api/runs/{run_id}/stream, GET /api/stream
create or replace function public.wfg_watch_runs(
  p_run_ids   jsonb default '[]',
  p_newest    integer default 0,
  p_with_jobs boolean default true
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
  v_asked  wfg.runs[];
  v_newest wfg.runs[];
begin
  perform wfg.check_range('p_newest', p_newest, 0, 1000);
  perform wfg.check_given('p_with_jobs', p_with_jobs::text);

  if jsonb_typeof(p_run_ids) is distinct from 'array'
     or jsonb_array_length(p_run_ids) > 1000
     or jsonb_path_exists(p_run_ids, 'strict $[*] ? (@.type() != "string")')
  then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_run_ids: must be an array of at most 1000 strings',
      hint    = 'Ask for more in several calls.';
  end if;

  v_asked := array(
    select distinct r
      from jsonb_array_elements_text(p_run_ids) e (id)
     cross join lateral wfg.resolve_run(e.id) r
     where r.id is not null
  );
  v_newest := wfg.newest_runs(p_newest);

  return coalesce(
    (
      select json_agg(
               json_build_object(
                 'run_id', w.run_id,
                 'workflow_id', w.workflow_id,
                 'state', wfg.run_state(w.run_id),
                 'jobs', case when w.with_jobs then wfg.job_states_json(w.run_id, w.version_id) end
               )
               order by w.run_id desc
             )
        from (
               select a.id as run_id, a.workflow_id, a.version_id, p_with_jobs as with_jobs
                 from unnest(v_asked) a
               union all
               select n.id, n.workflow_id, n.version_id,
                      p_with_jobs and n.state = 'active' and v.job_count <= 1000
                 from unnest(v_newest) n
                 join wfg.workflow_versions v on v.id = n.version_id
                where n.id <> all (array(select a.id from unnest(v_asked) a))
             ) w
    ),
    '[]'
  );
end;
$$;

comment on function public.wfg_watch_runs(jsonb, integer, boolean) is
$$The states of runs and their jobs, to be asked for again and compared: newest run first, jobs as in the file.

p_run_ids: array of at most 1000 ids of runs, or of workflows: then the latest run of the workflow door. Unknown ones
are left out. p_newest: so many of the newest runs, too, and of the newest active ones: 0 to 1000; of these, jobs are
null when the run has ended, or has more than 1000. p_with_jobs: false leaves all jobs null.
Answers an array of {"run_id","workflow_id","state","jobs":[{"job_id","state","kept","attempt","worker_id",
"started_at_ms","finished_at_ms"}]}. Errors: 422 invalid_request.$$;
