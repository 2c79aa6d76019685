create or replace function wfg.cancel_leases(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  delete from wfg.queue q
   using unnest(p_moves) m
   where q.run_id = any (array[m.run_id])
     and q.job_no = m.job_no
     and m.lease_nonce is null;

  insert into wfg.attempts (
    run_id, job_no, attempt, outcome, worker_id, lease_nonce, started_at, finished_at
  )
  select m.run_id, m.job_no, m.attempt, 'cancelled', m.worker_id, m.lease_nonce, m.leased_at, p_now
    from unnest(p_moves) m
   where m.lease_nonce is not null;

  -- Only a worker of the workflow door asks `cancelled?` by ids that its next run shares.
  update wfg.queue q
     set cancelled_at          = p_now,
         expires_at            = least(q.expires_at, p_now + interval '60 seconds'),
         cancelled_workflow_id = case r.door when 'workflow' then r.workflow_id end,
         cancelled_job_id      = case r.door when 'workflow' then s.key end
    from unnest(p_moves) m
    join wfg.runs r on r.id = m.run_id
    join wfg.job_specs s on s.version_id = m.version_id and s.job_no = m.job_no
   where m.lease_nonce is not null
     and q.run_id = any (array[m.run_id])
     and q.job_no = m.job_no;
end;
$$;

comment on function wfg.cancel_leases(wfg.transition[], timestamptz) is
$$Take cancelled jobs out of the queue. A leased one stays as a cancelled lease, for at most 60 seconds: it tells its
worker to stop, and holds back the same job of the next run.$$;
