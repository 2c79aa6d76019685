create or replace function wfg.job_no(
  p_version_id bigint,
  p_job_id     text
)
  returns integer
  language plpgsql
  stable
as $$
declare
  v_job_no integer;
begin
  select s.job_no into v_job_no from wfg.job_specs s where s.version_id = p_version_id and s.key = p_job_id;

  if v_job_no is null then
    raise sqlstate 'PT404' using
      message = 'job_not_found',
      detail  = format('The run has no job %s.', coalesce(to_json(left(p_job_id, 200))::text, 'null')),
      hint    = 'A job''s id is its key in the workflow file.';
  end if;

  return v_job_no;
end;
$$;

comment on function wfg.job_no(bigint, text) is
'The number of a job by its key. Errors: 404 job_not_found.';
