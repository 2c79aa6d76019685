create or replace function wfg.lock_wide_jobs(
  p_moves  wfg.transition[],
  p_doomed wfg.job_ref[],
  p_deltas wfg.job_delta[]
)
  returns void
  language plpgsql
  volatile
as $$
begin
  perform 1
     from (
            select m.run_id, m.job_no
              from unnest(p_moves) m
             where m.is_wide
            union
            select d.run_id, d.job_no from unnest(p_doomed) d where d.is_wide
            union
            select w.run_id, w.job_no from unnest(p_deltas) w
          ) k
     join wfg.jobs j on j.run_id = k.run_id and j.job_no = k.job_no
    order by j.run_id, j.job_no
      for update of j;
end;
$$;

comment on function wfg.lock_wide_jobs(wfg.transition[], wfg.job_ref[], wfg.job_delta[]) is
'Lock the wide jobs of a transition, after its join slots: those that end, are skipped, or had a slot emptied.';
