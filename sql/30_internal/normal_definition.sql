create or replace function wfg.normal_definition(p_definition json)
  returns jsonb
  language plpgsql
  immutable
as $$
declare
  v_env constant jsonb := wfg.env_object(p_definition -> 'env');
begin
  return jsonb_build_object(
    'name', p_definition ->> 'name',
    'trigger', wfg.trigger_text(p_definition -> 'on'),
    'inputs', wfg.normal_inputs(p_definition -> 'inputs'),
    'jobs', (
      select coalesce(jsonb_agg(wfg.normal_job(j.key, j.job, v_env) order by j.no), '[]')
        from json_each(p_definition -> 'jobs') with ordinality j (key, job, no)
    )
  );
end;
$$;

comment on function wfg.normal_definition(json) is 'The normal form of a file that has no problems.';
