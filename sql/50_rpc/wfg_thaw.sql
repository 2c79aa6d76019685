-- POST /api/thaw
create or replace function public.wfg_thaw()
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
  v_pause wfg.pauses;
begin
  perform wfg.move_home(wfg.now());

  v_pause.kind := 'all';

  return json_build_object('thawed', wfg.end_pause(v_pause));
end;
$$;

comment on function public.wfg_thaw() is
$$End wfg_freeze. Pauses of workflows and labels stay in force. In a copy of a database it says: this one is to hand out
jobs; also before it was noticed that it is one.

Answers {"thawed"}; false: it was not frozen.$$;
