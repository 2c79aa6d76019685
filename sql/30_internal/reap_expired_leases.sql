create or replace function wfg.reap_expired_leases(p_limit integer)
  returns wfg.transition[]
  language plpgsql
  volatile
as $$
declare
  v_moves constant wfg.transition[] := wfg.expired_leases(p_limit, '-infinity', '{}', wfg.now());
begin
  if v_moves is null then
    return null;
  end if;

  perform wfg.lock_narrow_jobs(v_moves);
  perform wfg.lock_queue_rows(v_moves);

  return wfg.reap_locked_leases(v_moves, wfg.now());
end;
$$;

comment on function wfg.reap_expired_leases(integer) is
'End up to p_limit leases that are over, waiting for the locks it needs, in the order of all transitions.';
