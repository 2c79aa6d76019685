create or replace function wfg.skip_jobs(
  p_doomed wfg.job_ref[],
  p_moves  wfg.transition[],
  p_now    timestamptz
)
  returns wfg.ended_job[]
  language plpgsql
  volatile
as $$
declare
  v_skipped wfg.ended_job[];
begin
  with skipped as (
    update wfg.jobs j
       set state       = 'skipped',
           finished_at = p_now
      from unnest(p_doomed) d
     where j.run_id = d.run_id
       and j.job_no = d.job_no
       and j.state = 'queued'
    returning j.run_id, j.job_no, nextval('wfg.total_jobs_skipped')
  )
  select array_agg((s.run_id, s.job_no, m.in_wide_run)::wfg.ended_job)
    into v_skipped
    from skipped s
    join (
           select distinct on (e.run_id) e.run_id, e.in_wide_run
             from unnest(p_moves) e
            order by e.run_id
         ) m on m.run_id = s.run_id;

  return v_skipped;
end;
$$;

comment on function wfg.skip_jobs(wfg.job_ref[], wfg.transition[], timestamptz) is
'Skip those of the doomed that have not ended. p_moves: what doomed them, of the same runs. Answers those that
were skipped.';
