create or replace function wfg.descendants(
  p_version_id bigint,
  p_job_nos    integer[]
)
  returns table (job_no integer, is_wide boolean)
  language plpgsql
  stable
as $$
begin
  return query
    with recursive reached as (
      select c.job_no
        from wfg.job_specs s
       cross join lateral unnest(s.narrow_children || s.wide_children) c (job_no)
       where s.version_id = p_version_id
         and s.job_no = any (p_job_nos)
      union
      select c.job_no
        from reached r
        join wfg.job_specs s on s.version_id = p_version_id and s.job_no = r.job_no
       cross join lateral unnest(s.narrow_children || s.wide_children) c (job_no)
    )
    select r.job_no, s.is_wide
      from reached r
      join wfg.job_specs s on s.version_id = p_version_id and s.job_no = r.job_no;
end;
$$;

comment on function wfg.descendants(bigint, integer[]) is
'Everything that depends on one of these jobs, directly or not.';
