create or replace function wfg.requeue(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  insert into wfg.attempts (
    run_id, job_no, attempt, outcome, worker_id, lease_nonce, started_at, finished_at, reported_at, error
  )
  select m.run_id, m.job_no, m.attempt, m.outcome, m.worker_id, m.lease_nonce, m.leased_at, p_now,
         case when m.outcome = 'failure' then p_now end, m.error
    from unnest(p_moves) m
   where m.move = 'retry';

  -- What was given back never happened: its log goes, and its turn does not.
  delete from wfg.log_chunks c
   using unnest(p_moves) m
   where m.move = 'release'
     and c.run_id = m.run_id
     and c.job_no = m.job_no
     and c.attempt = m.attempt;

  update wfg.queue q
     set log_bytes   = case m.move when 'release' then wfg.log_bytes(q.run_id, q.job_no) else q.log_bytes end,
         attempt     = case m.move when 'retry' then m.attempt + 1 else m.attempt end,
         lost        = m.lost,
         ready_at    = case m.move when 'retry' then p_now + m.retry_after else q.ready_at end,
         enqueued_at = case m.move when 'retry' then p_now else q.enqueued_at end,
         lease_nonce = null,
         worker_id   = null,
         ttl_secs    = null,
         leased_at   = null,
         expires_at  = null,
         timeout_at  = null
    from unnest(p_moves) m
   where q.run_id = any (array[m.run_id])
     and q.job_no = m.job_no;

  perform wfg.lower_marks(
    array(select (m.run_id, m.job_no, m.is_wide)::wfg.job_ref from unnest(p_moves) m where m.move = 'release')
  );
  perform wfg.wake_lanes(
    array(select (m.run_id, m.job_no, m.is_wide)::wfg.job_ref from unnest(p_moves) m),
    p_now
  );
end;
$$;

comment on function wfg.requeue(wfg.transition[], timestamptz) is
'Retries (counted, with their attempt kept and the backoff waited) and releases (given back: nothing consumed).';
