create or replace function public.wfg_reap(p_limit integer default 1000)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_moves wfg.transition[];
begin
  perform wfg.check_range('p_limit', p_limit, 1, 100000);

  v_moves := wfg.reap_expired_leases(p_limit);

  return (
    select json_build_object(
             'retried', count(*) filter (where m.move = 'retry'),
             'failed', count(*) filter (where m.move = 'failure'),
             'cancelled', count(*) filter (where m.move = 'acknowledge')
           )
      from unnest(v_moves) m
  );
end;
$$;

comment on function public.wfg_reap(integer) is
$$End leases that are over: expired or timed out (the attempt is retried or its job fails), or cancelled and silent.

For pg_cron, a server, or by hand. Claims do the same in passing, so this is for databases where nothing claims.
p_limit: 1 to 100000, longest overdue first. Answers {"retried","failed","cancelled"}.
Errors: 422 invalid_request.$$;
