-- GET /api/runs/{id}/attempts
create or replace function public.wfg_list_attempts(
  p_run_id text,
  p_limit  integer default 1000,
  p_cursor text    default null
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
  v_run      constant wfg.runs := wfg.known_run(p_run_id);
  v_list     constant text := 'wfg_list_attempts ' || v_run.id;
  -- A cursor holds one number: the job's and the attempt's, of which there are 201 at most.
  v_after    constant integer := coalesce((wfg.read_cursor(p_cursor, v_list)).job_no, 0);
  v_attempts wfg.attempts[];
  v_last     wfg.attempts;
begin
  perform wfg.check_range('p_limit', p_limit, 1, 10000);

  v_attempts := array(
    select a
      from wfg.attempts a
     where a.run_id = v_run.id
       and (a.job_no, a.attempt) > (v_after / 1000, v_after % 1000)
     order by a.job_no, a.attempt
     limit p_limit + 1
  );

  if cardinality(v_attempts) > p_limit then
    v_last := v_attempts[p_limit];
  end if;

  return json_build_object(
    'items', coalesce(
      (
        select json_agg(
                 json_build_object(
                   'job_id', s.key,
                   'attempt', a.attempt,
                   'outcome', a.outcome,
                   'worker_id', a.worker_id,
                   'started_at_ms', wfg.epoch_ms(a.started_at),
                   'finished_at_ms', wfg.epoch_ms(a.finished_at),
                   'error', a.error
                 )
                 order by a.job_no, a.attempt
               )
          from unnest(v_attempts[:p_limit]) a
         cross join lateral (
                 select i.key
                   from wfg.job_specs i
                  where i.version_id = v_run.version_id
                    and i.job_no = a.job_no
                 offset 0
               ) s
      ),
      '[]'
    ),
    'next_cursor', wfg.write_cursor(v_run.id, v_last.job_no * 1000 + v_last.attempt, v_list)
  );
end;
$$;

comment on function public.wfg_list_attempts(text, integer, text) is
$$The attempts of a run's jobs that did not end them, and cancelled ones: as in sql/README.md, JobDetail, with job_id.

What a job needs comes before it. Of kept jobs there are none: they ran in another run. Times are epoch milliseconds.
p_run_id: a run's id, or a workflow's: then its latest run of the workflow door. p_limit: 1 to 10000.
p_cursor: next_cursor of the page before. Answers {"items":[…],"next_cursor"}; next_cursor null: that was the last page.
Errors: 404 run_not_found, workflow_not_found; 422 invalid_request.$$;
