-- POST /api/workflows/sample
create or replace function public.wfg_create_sample_workflow()
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_jobs    json;
  v_parsed  record;
  v_version record;
begin
  select json_agg(
           json_build_object(
             'id', j.id,
             'name', j.name,
             'status', 'queued',
             'command', format('echo ''%s''; sleep %s', j.says, j.secs),
             'depends_on', j.needs
           )
           order by j.no
         )
    into v_jobs
    from (values
      (1, 'unit-tests',     'Unit Tests',           '{}'::text[],                   'Running the unit tests', 2),
      (2, 'lint',           'Lint',                 '{}',                           'Linting',                1),
      (3, 'typecheck',      'Typecheck',            '{}',                           'Checking the types',     2),
      (4, 'build',          'Build',                '{unit-tests,lint,typecheck}',  'Building',               3),
      (5, 'deploy-db',      'Deploy DB Migrations', '{build}',                      'Migrating the database', 1),
      (6, 'e2e-tests',      'E2E Tests',            '{build}',                      'Running the E2E tests',  5),
      (7, 'deploy-preview', 'Deploy Preview',       '{build}',                      'Deploying the preview',  1),
      (8, 'deploy-web',     'Deploy Web',           '{deploy-db}',                  'Deploying the site',     3)
    ) j (no, id, name, needs, says, secs);

  v_parsed := wfg.parse_job_list('ci.yml', 'on: push', v_jobs, wfg.limits_in_force());
  perform wfg.refuse_problems(v_parsed.problems);

  v_version := wfg.store_version(
    'ci-1',
    json_build_object('name', 'ci.yml', 'trigger', 'on: push', 'jobs', v_jobs),
    v_parsed.definition
  );

  return wfg.workflow_json('ci-1', v_version.version_id, null);
end;
$$;

comment on function public.wfg_create_sample_workflow() is
$$Create the sample workflow ci-1, or make it the current version of ci-1 again. Its runs are not touched.$$;
