-- PUT /api/workflows/{id}
create or replace function public.wfg_put_workflow(
  p_workflow_id text,
  p_definition  json,
  p_lenient     boolean default false
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_id      text := p_workflow_id;
  v_parsed  record;
  v_stored  record;
  v_version record;
begin
  perform wfg.check_given('p_definition', p_definition::text);

  if p_workflow_id is not null then
    perform wfg.check_workflow_id(p_workflow_id);
  end if;

  v_parsed := wfg.parse_definition(p_definition, coalesce(p_lenient, false), wfg.limits_in_force());

  -- A limit that was lowered since does not concern what is stored.
  if json_array_length(v_parsed.problems) > 0
     and (p_workflow_id is null or wfg.is_current_source(p_workflow_id, p_definition))
  then
    v_stored := wfg.parse_definition(p_definition, coalesce(p_lenient, false), wfg.no_limits());

    if wfg.is_current_source(coalesce(p_workflow_id, v_stored.definition ->> 'name'), p_definition) then
      v_parsed := v_stored;
    end if;
  end if;

  perform wfg.refuse_problems(v_parsed.problems);

  if p_workflow_id is null then
    v_id := v_parsed.definition ->> 'name';
    perform wfg.check_workflow_id(v_id);
  end if;

  v_version := wfg.store_version(
    v_id,
    p_definition,
    v_parsed.definition || jsonb_build_object('name', coalesce(v_parsed.definition ->> 'name', v_id))
  );

  return json_build_object(
    'id', v_id,
    'version', v_version.version,
    'changed', v_version.changed,
    'warnings', v_parsed.warnings
  );
end;
$$;

comment on function public.wfg_put_workflow(text, json, boolean) is
$$Create a workflow from a file's JSON, or make that its next version.

p_workflow_id: null takes the file's name. p_lenient: unknown keys are warnings instead of errors.
A definition that means the same as the current version makes no new one: "changed" is false. The same text again is
not held against limits that were lowered since.
Runs keep the version they were started with. A deleted workflow is there again.
Errors: 422 invalid_workflow with all problems at once; 422 invalid_request.$$;
