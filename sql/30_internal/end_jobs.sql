create or replace function wfg.end_jobs(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns wfg.ended_job[]
  language plpgsql
  volatile
as $$
declare
  v_ended wfg.ended_job[];
  v_big   boolean;
begin
  with ended as (
    update wfg.jobs j
       set state       = m.move,
           started_at  = m.leased_at,
           finished_at = p_now,
           attempt     = m.attempt,
           lease_nonce = case when m.ord is not null then m.lease_nonce end,
           worker_id   = m.worker_id,
           outputs     = case when octet_length(m.outputs::text) <= 1024 then nullif(m.outputs, '{}') end,
           error       = m.error
      from unnest(p_moves) m
     where j.run_id = m.run_id
       and j.job_no = m.job_no
       and j.state = 'queued'
    returning j.run_id, j.job_no, m.in_wide_run, m.outputs <> '{}' and j.outputs is null as is_big,
              nextval(
                case m.move
                  when 'success' then 'wfg.total_jobs_success'::regclass
                  when 'failure' then 'wfg.total_jobs_failure'::regclass
                  else 'wfg.total_jobs_cancelled'::regclass
                end
              )
  ),
  gone as (
    delete from wfg.queue q
     using unnest(p_moves) m
     where m.move <> 'cancelled'
       and q.run_id = any (array[m.run_id])
       and q.job_no = m.job_no
  )
  select array_agg((e.run_id, e.job_no, e.in_wide_run)::wfg.ended_job), bool_or(e.is_big)
    into v_ended, v_big
    from ended e;

  if v_big then
    insert into wfg.outputs (run_id, job_no, outputs)
    select m.run_id, m.job_no, m.outputs
      from unnest(p_moves) m
     where octet_length(m.outputs::text) > 1024;
  end if;

  return v_ended;
end;
$$;

comment on function wfg.end_jobs(wfg.transition[], timestamptz) is
$$Write the ends of these jobs, and take them out of the queue; what is cancelled leaves it by wfg.cancel_leases.

Answers those that did end here.$$;
