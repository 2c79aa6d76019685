create or replace function wfg.try_lock_queue_row(
  p_run_id uuid,
  p_job_no integer
)
  returns boolean
  language plpgsql
  volatile
as $$
begin
  perform 1
     from wfg.queue q
    where q.run_id = p_run_id
      and q.job_no = p_job_no
      for update skip locked;

  return found;
end;
$$;

comment on function wfg.try_lock_queue_row(uuid, integer) is
'Lock a queue row without waiting. False: it is locked, or gone.';
