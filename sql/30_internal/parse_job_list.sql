create or replace function wfg.parse_job_list(
  p_name    text,
  p_trigger text,
  p_jobs    json,
  p_limits  jsonb,
  out definition jsonb,
  out problems   json
)
  language plpgsql
  immutable
  set jit = off
  set max_parallel_workers_per_gather = 0
as $$
declare
  v_problems wfg.definition_problem[] := array_remove(array[wfg.json_problem(p_jobs, p_limits)], null);
  v_nodes    wfg.definition_node[];
  v_keys     text[];
begin
  if v_problems = '{}' then
    -- Unknown fields are ignored.
    v_nodes := array(
      select n
        from unnest(wfg.read_nodes('list', json_build_object('jobs', p_jobs))) n
       where n.key is null
          or exists (select from wfg.known_keys() k where k.level = n.level and k.key = n.key)
    );
    v_keys := array(
      select case when n.type = 'object' then n.value ->> 'id' end
        from unnest(v_nodes) n
       where n.level = 'listed_jobs'
         and cardinality(n.place) = 2
       order by n.place
    );

    v_problems := array(
      select c from wfg.check_keys(v_nodes, false) c
      union all
      select c from wfg.check_values(v_nodes) c
      union all
      select c from wfg.check_limits(v_nodes, p_limits) c
      union all
      select c from wfg.check_jobs(v_nodes) c
      union all
      select c from wfg.check_job_ids(v_keys) c
      union all
      select c from wfg.check_needs(wfg.read_needs(v_nodes, v_keys), v_keys) c
    );
  end if;

  problems := wfg.problems_json(v_problems);

  if v_problems = '{}' then
    definition := jsonb_build_object(
      'name', p_name,
      'trigger', p_trigger,
      'inputs', '[]'::jsonb,
      'jobs', (
        select coalesce(jsonb_agg(wfg.normal_listed_job(j.job) order by j.no), '[]')
          from json_array_elements(p_jobs) with ordinality j (job, no)
      )
    );
  end if;
end;
$$;

comment on function wfg.parse_job_list(text, text, json, jsonb) is
$$The normal form (sql/README.md) of the API's job list, or all that is wrong with it at once.

Unknown fields, statuses, times and attempts are ignored. p_limits: as wfg.limits_in_force() has them.
problems: [{"path","message","hint"}]. definition is null when there are problems.$$;
