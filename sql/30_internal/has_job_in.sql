create or replace function wfg.has_job_in(
  p_run_id uuid,
  p_status text
)
  returns boolean
  language plpgsql
  stable
as $$
begin
  return exists (
    select
      from wfg.jobs j
      left join wfg.queue q on q.run_id = j.run_id and q.job_no = j.job_no
     where j.run_id = p_run_id
       and wfg.job_state(j.state, q.lease_nonce) = p_status
  );
end;
$$;

comment on function wfg.has_job_in(uuid, text) is
'Whether at least one job of a run is in a status of the wire.';
