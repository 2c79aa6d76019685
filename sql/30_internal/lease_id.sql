create or replace function wfg.lease_id(
  p_run_id      uuid,
  p_job_no      integer,
  p_lease_nonce uuid
)
  returns text
  language sql
  immutable
  parallel safe
as $$
  select p_run_id::text || '.' || p_job_no::text || '.' || p_lease_nonce::text;
$$;

comment on function wfg.lease_id(uuid, integer, uuid) is
'The opaque text that a worker holds: the key of the job, and the 122 random bits that are the fence.';
