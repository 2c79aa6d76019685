create or replace function wfg.jobs_to_keep(
  p_run_id      uuid,
  p_version     wfg.workflow_versions,
  p_jobs        text,
  p_from_job_id text
)
  returns boolean[]
  language plpgsql
  stable
as $$
declare
  v_from integer[] := '{}'::integer[];
  v_kept boolean[];
begin
  if p_from_job_id is not null then
    v_from := array[wfg.job_no(p_version.id, p_from_job_id)];
  elsif p_jobs = 'all' then
    return array_fill(false, array[p_version.job_count]);
  end if;

  -- What a success needs has succeeded, too: so nothing that is kept follows a job that did not succeed.
  v_kept := array(
    select j.state = 'success'
             and j.job_no not in (
               select f.job_no from unnest(v_from) f (job_no)
               union all
               select d.job_no from wfg.descendants(p_version.id, v_from) d
             )
      from wfg.jobs j
     where j.run_id = p_run_id
     order by j.job_no
  );

  if false = any (v_kept) is not true then
    raise sqlstate 'PT409' using
      message = 'nothing_to_rerun',
      detail  = format('All jobs of run %s succeeded.', p_run_id),
      hint    = 'Run all of them again, or those from one job on.';
  end if;

  return v_kept;
end;
$$;

comment on function wfg.jobs_to_keep(uuid, wfg.workflow_versions, text, text) is
$$Of each job of a run that has ended, by number: whether a re-run keeps it.

Errors: 404 job_not_found; 409 nothing_to_rerun.$$;
