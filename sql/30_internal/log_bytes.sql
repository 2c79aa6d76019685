create or replace function wfg.log_bytes(
  p_run_id uuid,
  p_job_no integer
)
  returns bigint
  language plpgsql
  volatile
as $$
begin
  return (
    select coalesce(sum(octet_length(c.data)), 0)
      from wfg.log_chunks c
     where c.run_id = p_run_id
       and c.job_no = p_job_no
  );
end;
$$;

comment on function wfg.log_bytes(uuid, integer) is
'How many bytes of log a job has, read from the log itself.';
