create or replace function wfg.lease_id(
  p_run_id      uuid,
  p_job_no      integer,
  p_lease_nonce uuid
)
  returns text
  language plpgsql
  immutable
  parallel safe
as $$
begin
  return replace(p_run_id || '.' || p_job_no || '.' || p_lease_nonce, '-', '');
end;
$$;

comment on function wfg.lease_id(uuid, integer, uuid) is
'The opaque text that a worker holds: the key of the job, and the 122 random bits that are the fence.';
