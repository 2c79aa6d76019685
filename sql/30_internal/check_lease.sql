create or replace function wfg.check_lease(
  p_lease wfg.queue,
  p_now   timestamptz
)
  returns void
  language plpgsql
  stable
as $$
begin
  if p_lease.run_id is null or p_lease.expires_at <= p_now then
    perform wfg.refuse_lease(
      'lease_not_held',
      (select j.state from wfg.jobs j where j.run_id = p_lease.run_id and j.job_no = p_lease.job_no)
    );
  end if;
end;
$$;

comment on function wfg.check_lease(wfg.queue, timestamptz) is
'Refuse a lease, read by wfg.lock_lease, that is unknown or over: 409 lease_not_held. A cancelled one passes.';
