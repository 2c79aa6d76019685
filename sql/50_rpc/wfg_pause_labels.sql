-- POST /api/labels/pause
create or replace function public.wfg_pause_labels(
  p_labels    jsonb,
  p_paused_by text default null,
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
  perform wfg.check_text('p_paused_by', p_paused_by, 200, true);
  perform wfg.check_text('p_reason', p_reason, 2000, true);

  v_pause.kind := 'labels';
  v_pause.labels := wfg.check_paused_labels(p_labels);
  v_pause.paused_by := p_paused_by;
  v_pause.reason := p_reason;

  return wfg.pause_json(wfg.add_pause(v_pause));
end;
$$;

comment on function public.wfg_pause_labels(jsonb, text, text) is
$$Pause every job that requires all of these labels, of any workflow: ["gpu"] those that need a worker with a GPU.
Running ones go on.

p_labels: array of 1 to 20 strings, 1900 bytes in all. p_paused_by, p_reason: free text, kept with the pause.
Answers the Pause (sql/README.md, Pause); of labels paused before, that of then. Errors: 422 invalid_request.$$;
