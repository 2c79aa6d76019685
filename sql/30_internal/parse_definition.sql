create or replace function wfg.parse_definition(
  p_definition json,
  p_lenient    boolean,
  p_limits     jsonb,
  out definition jsonb,
  out problems   json,
  out warnings   json
)
  language plpgsql
  immutable
  set jit = off
  set max_parallel_workers_per_gather = 0
as $$
declare
  v_problems wfg.definition_problem[] := array_remove(array[wfg.json_problem(p_definition, p_limits)], null);
  v_nodes    wfg.definition_node[];
  v_keys     text[];
  v_needs    wfg.definition_need[];
begin
  if v_problems = '{}' and json_typeof(p_definition) <> 'object' then
    v_problems := array[
      (
        '{}', '', format('must be a mapping, found %s', wfg.describe_json(p_definition)),
        'Write jobs: {build: {run: make}}.', false
      )::wfg.definition_problem
    ];
  end if;

  if v_problems = '{}' then
    v_nodes := wfg.read_nodes('file', p_definition);
    v_keys := array(select n.key from unnest(v_nodes) n where n.level = 'jobs' order by n.place);
    v_needs := wfg.read_needs(v_nodes, v_keys);

    v_problems := array(
      select c from wfg.check_keys(v_nodes, p_lenient) c
      union all
      select c from wfg.check_values(v_nodes) c
      union all
      select c from wfg.check_limits(v_nodes, p_limits) c
      union all
      select c from wfg.check_inputs(v_nodes) c
      union all
      select c from wfg.check_jobs(v_nodes) c
      union all
      select c from wfg.check_needs(v_needs, v_keys) c
      union all
      select c from wfg.check_need_names(v_needs, v_keys) c
    );
  end if;

  if not exists (select from unnest(v_problems) p where not p.is_warning) then
    definition := wfg.normal_definition(p_definition);
    v_problems := v_problems || array(select c from wfg.check_commands(definition, v_nodes) c);
  end if;

  problems := wfg.problems_json(array(select p from unnest(v_problems) p where not p.is_warning));
  warnings := wfg.problems_json(array(select p from unnest(v_problems) p where p.is_warning));

  if json_array_length(problems) > 0 then
    definition := null;
  end if;
end;
$$;

comment on function wfg.parse_definition(json, boolean, jsonb) is
$$The normal form (sql/README.md) of a workflow file, or all that is wrong with it at once.

p_lenient: unknown keys are warnings. p_limits: as wfg.limits_in_force() has them.
problems, warnings: [{"path","message","hint"}].
definition is null when there are problems; its name is null when the file has none.$$;
