-- POST /api/workflows
create or replace function public.wfg_create_workflow(
  p_name    text,
  p_trigger text,
  p_jobs    json
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_id      constant text := gen_random_uuid();
  v_parsed           record;
  v_version          record;
begin
  perform wfg.check_text('p_name', p_name, 200, false);
  perform wfg.check_given('p_trigger', p_trigger);
  perform wfg.check_text('p_trigger', nullif(p_trigger, ''), 200, true);
  perform wfg.check_given('p_jobs', p_jobs::text);

  v_parsed := wfg.parse_job_list(p_name, p_trigger, p_jobs, wfg.limits_in_force());
  perform wfg.refuse_problems(v_parsed.problems);

  v_version := wfg.store_version(
    v_id,
    json_build_object('name', p_name, 'trigger', p_trigger, 'jobs', p_jobs),
    v_parsed.definition
  );

  return wfg.workflow_json(v_id, v_version.version_id, null);
end;
$$;

comment on function public.wfg_create_workflow(text, text, json) is
$$Create a workflow from the API's job list, with a fresh id.

p_jobs: array of Job: id, name, status, command, depends_on required. Commands are taken as they are; statuses, times
and attempts are checked and ignored; metadata, ports, children and collapsed are kept; unknown fields are ignored.
Errors: 422 invalid_workflow with all problems at once; 422 invalid_request.$$;
