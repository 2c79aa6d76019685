create or replace function wfg.lock_lease(p_lease_id text)
  returns wfg.queue
  language plpgsql
  volatile
as $$
declare
  v_item constant wfg.report_item := wfg.report_item(p_lease_id, null, null, null, null);
  v_lease         wfg.queue;
begin
  select q.*
    into v_lease
    from wfg.queue q
   where q.run_id = v_item.run_id
     and q.job_no = v_item.job_no
     and q.lease_nonce is not distinct from v_item.lease_nonce
     for update;

  if not found then
    perform wfg.refuse_old_snapshot(v_item.run_id, v_item.job_no);
  end if;

  return v_lease;
end;
$$;

comment on function wfg.lock_lease(text) is
'The queue row of a lease, locked: live, cancelled, or over and not reaped yet. A null row: there is none.';
