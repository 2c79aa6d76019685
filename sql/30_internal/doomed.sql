create or replace function wfg.doomed(p_transitions wfg.transition[])
  returns wfg.job_ref[]
  language plpgsql
  stable
as $$
begin
  return (
    select array_agg((g.run_id, d.job_no, d.is_wide)::wfg.job_ref order by g.run_id, d.job_no)
      from (
             select t.run_id, t.version_id, array_agg(t.job_no) as job_nos
               from unnest(p_transitions) t
              where t.move in ('failure', 'cancelled')
                and t.narrow_children || t.wide_children <> '{}'
              group by t.run_id, t.version_id
           ) g
     cross join lateral wfg.descendants(g.version_id, g.job_nos) d
  );
end;
$$;

comment on function wfg.doomed(wfg.transition[]) is
'What these transitions skip: all descendants of the jobs that end otherwise than in success. Null when nothing.';
