create or replace function wfg.insert_slots(
  p_run_ids    uuid[],
  p_version_id bigint,
  p_kept       boolean[]
)
  returns void
  language plpgsql
  volatile
as $$
begin
  insert into wfg.run_slots (run_id, slot, open_left)
  select k.id, n.slot, n.jobs
    from unnest(p_run_ids) k (id)
   cross join (
           select s.job_no % 16 as slot, count(*) filter (where p_kept[s.job_no] is not true) as jobs
             from wfg.job_specs s
            where s.version_id = p_version_id
            group by 1
         ) n;

  insert into wfg.join_slots (run_id, job_no, slot, parents_left)
  select k.id, n.job_no, n.slot, n.parents
    from unnest(p_run_ids) k (id)
   cross join (
           select s.job_no, p.job_no % 16 as slot, count(*) as parents
             from wfg.job_specs s
            cross join lateral unnest(s.parents) p (job_no)
            where s.version_id = p_version_id
              and s.is_wide
              and p_kept[p.job_no] is not true
            group by 1, 2
         ) n;
end;
$$;

comment on function wfg.insert_slots(uuid[], bigint, boolean[]) is
$$The counters of new wide runs, and of the wide joins in them: sql/README.md, Counting.

p_kept: by number, whether a job is kept from an earlier run, and so not counted; {} when none is.$$;
