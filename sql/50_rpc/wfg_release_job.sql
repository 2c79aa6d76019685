-- POST /api/jobs/{lease_id}/release
create or replace function public.wfg_release_job(p_lease_id text)
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
begin
  return wfg.report_one(p_lease_id, 'release', null, null, false);
end;
$$;

comment on function public.wfg_release_job(text) is
$$Give a leased job back, as if it had not been claimed: no retry is consumed, its place in the line is kept, and what
this attempt logged is deleted. For a cancelled lease it is the acknowledgement.

Answers {"job":"queued","run":"running"}. A repeat is refused with lease_not_held: nothing was reported.
Errors: 409 lease_not_held, already_reported.$$;
