-- POST /api/workflows/validate
create or replace function public.wfg_validate_workflow(
  p_definition json,
  p_lenient    boolean default false
)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_parsed record;
begin
  perform wfg.check_given('p_definition', p_definition::text);
  v_parsed := wfg.parse_definition(p_definition, coalesce(p_lenient, false), wfg.limits_in_force());

  return json_build_object(
    'valid', json_array_length(v_parsed.problems) = 0,
    'problems', v_parsed.problems,
    'warnings', v_parsed.warnings
  );
end;
$$;

comment on function public.wfg_validate_workflow(json, boolean) is
$$Say what is wrong with a file's JSON, without storing it.

p_lenient: unknown keys are warnings instead of problems.
A problem: {"path":"jobs.build.needs[0]","message":"…","hint":"…"}. Errors: 422 invalid_request when it is null.$$;
