-- POST /api/labels/resume
create or replace function public.wfg_resume_labels(p_labels jsonb)
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
  v_pause.kind := 'labels';
  v_pause.labels := wfg.check_paused_labels(p_labels);

  return json_build_object('labels', v_pause.labels, 'resumed', wfg.end_pause(v_pause));
end;
$$;

comment on function public.wfg_resume_labels(jsonb) is
$$End the pause of exactly these labels, in any order. Others that a job falls under stay in force.

Answers {"labels","resumed"}; false: they were not paused. Errors: 422 invalid_request.$$;
