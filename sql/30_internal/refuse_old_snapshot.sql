create or replace function wfg.refuse_old_snapshot(
  p_run_id uuid,
  p_job_no integer
)
  returns void
  language plpgsql
  volatile
as $$
begin
  if current_setting('transaction_isolation') = 'read committed' then
    return;
  end if;

  -- Locking what changed since the snapshot raises 40001; so does a job that the snapshot has never seen.
  perform 1 from wfg.jobs j where j.run_id = p_run_id and j.job_no = p_job_no for update;
  perform 1 from wfg.queue q where q.run_id = p_run_id and q.job_no = p_job_no for update;
  perform 1 from wfg.runs r where r.id = p_run_id for no key update;

  if not found and p_run_id > wfg.uuid_v7(transaction_timestamp() - interval '1 minute') then
    raise sqlstate '40001' using
      message = 'snapshot_too_old',
      detail  = 'The run may be younger than the snapshot of this transaction.',
      hint    = 'Retry the transaction; the engine expects READ COMMITTED.';
  end if;
end;
$$;

comment on function wfg.refuse_old_snapshot(uuid, integer) is
$$Under REPEATABLE READ and SERIALIZABLE: raise 40001 when this job, its lease or its run may have changed since the
snapshot of the transaction. To be called before a refusal for good: what the caller holds may be younger.$$;
