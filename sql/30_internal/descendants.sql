create or replace function wfg.descendants(
  p_version_id bigint,
  p_job_nos    integer[]
)
  returns table (job_no integer, is_wide boolean)
  language plpgsql
  stable
as $$
begin
  -- offset 0 keeps the planner from turning the join round: from all jobs of the version to the few just reached,
  -- once per step, which takes seconds for a chain of thousands.
  return query
    with recursive reached as (
      select c.job_no
        from unnest(p_job_nos) n (job_no)
       cross join lateral (
               select s.narrow_children || s.wide_children as children
                 from wfg.job_specs s
                where s.version_id = p_version_id
                  and s.job_no = n.job_no
               offset 0
             ) s
       cross join lateral unnest(s.children) c (job_no)
      union
      select c.job_no
        from reached r
       cross join lateral (
               select s.narrow_children || s.wide_children as children
                 from wfg.job_specs s
                where s.version_id = p_version_id
                  and s.job_no = r.job_no
               offset 0
             ) s
       cross join lateral unnest(s.children) c (job_no)
    )
    select r.job_no, s.is_wide
      from reached r
     cross join lateral (
             select s.is_wide
               from wfg.job_specs s
              where s.version_id = p_version_id
                and s.job_no = r.job_no
             offset 0
           ) s;
end;
$$;

comment on function wfg.descendants(bigint, integer[]) is
'Everything that depends on one of these jobs, directly or not.';
