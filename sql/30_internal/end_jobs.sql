create or replace function wfg.end_jobs(
  p_moves  wfg.transition[],
  p_doomed wfg.job_ref[],
  p_now    timestamptz
)
  returns wfg.ended_job[]
  language plpgsql
  volatile
as $$
declare
  v_ended   wfg.ended_job[];
  v_skipped wfg.ended_job[];
begin
  with ended as (
    update wfg.jobs j
       set state       = m.move,
           started_at  = m.leased_at,
           finished_at = p_now,
           attempt     = m.attempt,
           lease_nonce = case when m.move <> 'cancelled' then m.lease_nonce end,
           worker_id   = m.worker_id,
           outputs     = case when octet_length(m.outputs::text) <= 1024 then nullif(m.outputs, '{}') end,
           error       = m.error
      from unnest(p_moves) m
     where m.move in ('success', 'failure', 'cancelled')
       and j.run_id = m.run_id
       and j.job_no = m.job_no
       and j.state = 'queued'
    returning j.run_id, j.job_no, m.in_wide_run
  )
  select array_agg((e.run_id, e.job_no, e.in_wide_run)::wfg.ended_job) into v_ended from ended e;

  insert into wfg.outputs (run_id, job_no, outputs)
  select m.run_id, m.job_no, m.outputs
    from unnest(p_moves) m
   where m.move = 'success'
     and octet_length(m.outputs::text) > 1024;

  if p_doomed is null then
    return v_ended;
  end if;

  with skipped as (
    update wfg.jobs j
       set state       = 'skipped',
           finished_at = p_now
      from unnest(p_doomed) d
     where j.run_id = d.run_id
       and j.job_no = d.job_no
       and j.state = 'queued'
    returning j.run_id, j.job_no
  )
  select array_agg(
           (
             s.run_id, s.job_no,
             (select bool_or(m.in_wide_run) from unnest(p_moves) m where m.run_id = s.run_id)
           )::wfg.ended_job
         )
    into v_skipped
    from skipped s;

  return v_ended || v_skipped;
end;
$$;

comment on function wfg.end_jobs(wfg.transition[], wfg.job_ref[], timestamptz) is
'Write the ends and the skips. Answers the jobs that did end here.';
