create or replace function public.wfg_prune(
  p_older_than_secs bigint default 2592000,
  p_limit           integer default 1000
)
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
  v_now    constant timestamptz := wfg.now();
  v_before timestamptz;
begin
  perform wfg.check_range('p_older_than_secs', p_older_than_secs, 0, 3155760000);
  perform wfg.check_range('p_limit', p_limit, 1, 100000);

  v_before := v_now - make_interval(secs => p_older_than_secs);

  return json_build_object(
    'runs', wfg.prune_runs(v_before, p_limit),
    'workers', wfg.prune_workers(least(v_before, v_now - interval '1 day')),
    'label_sets', wfg.prune_label_sets(v_now - interval '1 day')
  );
end;
$$;

comment on function public.wfg_prune(bigint, integer) is
$$Delete what is long over: runs that ended before, with their jobs, logs, outputs and attempts; workers not heard of
since (at least a day); label sets not used for a day.

p_older_than_secs: 0 to 3155760000, 30 days unless said. p_limit: at most so many runs a call, oldest first: call again
until "runs" is less. It waits for no lock that workers hold. Frees idempotency keys.
Answers {"runs","workers","label_sets"}: how many. Errors: 422 invalid_request.$$;
