-- POST /api/freeze
create or replace function public.wfg_freeze(
  p_frozen_by text default null,
  p_reason    text default null
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
  v_pause wfg.pauses;
begin
  perform wfg.check_text('p_frozen_by', p_frozen_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  v_pause.kind := 'all';
  v_pause.paused_by := p_frozen_by;
  v_pause.reason := p_reason;

  return wfg.pause_json(wfg.add_pause(v_pause));
end;
$$;

comment on function public.wfg_freeze(text, text) is
$$Pause everything: no job is handed out until wfg_thaw. Running ones go on; runs may be started, and wait.

A database that is a copy (restored from a dump, cloned from a template) freezes by itself, with the reason
"restored copy", when a job is first asked for. p_frozen_by, p_reason: free text, kept with the pause.
Answers the Pause (sql/README.md, Pause); when frozen before, that of then. Errors: 422 invalid_request.$$;
