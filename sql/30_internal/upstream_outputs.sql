create or replace function wfg.upstream_outputs(
  p_run_id     uuid,
  p_version_id bigint,
  p_parents    integer[]
)
  returns jsonb
  language plpgsql
  stable
as $$
begin
  return (
    select jsonb_object_agg(s.key, coalesce(j.outputs, o.outputs, '{}'))
      from unnest(p_parents) p (job_no)
      join wfg.jobs j on j.run_id = p_run_id and j.job_no = p.job_no
      join wfg.job_specs s on s.version_id = p_version_id and s.job_no = p.job_no
      left join wfg.outputs o on o.run_id = p_run_id and o.job_no = p.job_no
  );
end;
$$;

comment on function wfg.upstream_outputs(uuid, bigint, integer[]) is
'The outputs of a job''s direct parents: {"test":{"coverage":"94%"}}.';
