-- DELETE /api/workers/{id}
create or replace function public.wfg_deregister_worker(p_worker_id text)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform wfg.check_known_worker(p_worker_id);

  delete from wfg.workers w where w.namespace = wfg.namespace() and w.id = p_worker_id;

  return json_build_object('worker_id', p_worker_id, 'deregistered', true);
end;
$$;

comment on function public.wfg_deregister_worker(text) is
$$Forget a worker. Its leases are not touched: they are reported, released, or they expire.

Answers {"worker_id","deregistered":true}. Errors: 404 worker_not_found.$$;
