-- POST /api/workers/{id}/heartbeat
create or replace function public.wfg_heartbeat_worker(p_worker_id text)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform wfg.check_known_worker(p_worker_id);
  perform wfg.touch_worker(p_worker_id, null, wfg.now());

  return json_build_object('worker_id', p_worker_id);
end;
$$;

comment on function public.wfg_heartbeat_worker(text) is
$$Say that a worker lives, though it claims nothing. Leases are renewed one by one, by wfg_renew_lease.

Answers {"worker_id"}. Errors: 404 worker_not_found: register again.$$;
