create or replace function wfg.check_known_worker(p_worker_id text)
  returns void
  language plpgsql
  stable
as $$
begin
  if not exists (select from wfg.workers w where w.namespace = wfg.namespace() and w.id = p_worker_id) then
    raise sqlstate 'PT404' using
      message = 'worker_not_found',
      detail  = format('There is no worker %s.', coalesce(to_json(left(p_worker_id, 200))::text, 'null')),
      hint    = 'Register it.';
  end if;
end;
$$;

comment on function wfg.check_known_worker(text) is 'Refuse an unknown worker: 404 worker_not_found.';
