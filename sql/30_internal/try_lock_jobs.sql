create or replace function wfg.try_lock_jobs(
  p_jobs wfg.job_ref[],
  p_wide boolean
)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_locked integer;
begin
  select count(*)
    into v_locked
    from (
           select
             from unnest(p_jobs) k
             join wfg.jobs j on j.run_id = k.run_id and j.job_no = k.job_no
            where k.is_wide = p_wide
              for update of j skip locked
         ) l;

  return v_locked = (select count(*) from unnest(p_jobs) k where k.is_wide = p_wide);
end;
$$;

comment on function wfg.try_lock_jobs(wfg.job_ref[], boolean) is
'Lock the wide ones, or the narrow ones, of these jobs without waiting. False: some are locked.';
