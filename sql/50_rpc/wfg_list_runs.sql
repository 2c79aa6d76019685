-- GET /api/runs
create or replace function public.wfg_list_runs(
  p_workflow_id     text default null,
  p_state           text default null,
  p_limit           integer default 100,
  p_cursor          text default null,
  p_created_from_ms bigint default null,
  p_created_to_ms   bigint default null,
  p_inputs          jsonb default null,
  p_label           text default null,
  p_started_by      text default null,
  p_idempotency_key text default null
)
  returns json
  language plpgsql
  stable
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
  v_filter wfg.run_filter;
  v_list   text;
  v_found  wfg.run_walk;
  v_last   uuid;
begin
  perform wfg.check_range('p_limit', p_limit, 1, 1000);
  perform wfg.check_range('p_created_from_ms', coalesce(p_created_from_ms, 0), 0, 253402300800000);
  perform wfg.check_range('p_created_to_ms', coalesce(p_created_to_ms, 0), 0, 253402300800000);

  if p_state not in ('queued', 'running', 'success', 'failure', 'cancelled') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_state: must be queued, running, success, failure or cancelled',
      hint    = 'Leave it out for all.';
  end if;

  if jsonb_typeof(p_inputs) <> 'object' or wfg.json_size(p_inputs::json) > 100 then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_inputs: must be an object of at most 100 input names and values',
      hint    = 'Leave it out for all.';
  end if;

  if p_idempotency_key is not null then
    perform wfg.check_given('p_workflow_id', p_workflow_id);   -- keys are of a workflow
  end if;

  v_filter := (
    p_workflow_id, p_state, wfg.first_run_id(coalesce(p_created_from_ms, 0)),
    coalesce(wfg.first_run_id(p_created_to_ms), wfg.max_uuid()), wfg.inputs_path(p_inputs), p_label, p_started_by,
    p_idempotency_key
  )::wfg.run_filter;
  v_list := 'wfg_list_runs ' || v_filter::text;

  v_found := wfg.find_runs(
    v_filter,
    coalesce((wfg.read_cursor(p_cursor, v_list)).run_id, v_filter.to_id),
    p_limit
  );
  v_last := case when cardinality(v_found.found) > p_limit then v_found.found[p_limit] else v_found.last_id end;

  return json_build_object(
    'items', coalesce(
      (
        select json_agg(wfg.run_json(r.run, null) order by f.id desc)
          from unnest(v_found.found[:p_limit]) f (id)
         cross join lateral (select i as run from wfg.runs i where i.id = f.id offset 0) r
      ),
      '[]'
    ),
    'next_cursor', case when v_last is not null then wfg.write_cursor(v_last, 0, v_list) end
  );
end;
$$;

comment on function public.wfg_list_runs(text, text, integer, text, bigint, bigint, jsonb, text, text, text) is
$$Runs, newest first, without their jobs (sql/README.md, Run). Null: whatever it is.

p_workflow_id, p_state, p_started_by: only those of it, in it, by it. p_created_from_ms, p_created_to_ms: epoch
milliseconds, the first included, the second not; what counts is the time in the run's id. p_inputs: an object; a run
must have all of its values, and a text also stands for the number or boolean written so. p_label: some job of the run
requires it. p_idempotency_key: the run of it; p_workflow_id must be given. p_limit: 1 to 1000.
p_cursor: next_cursor of the page before, with the same filters. While others write, nothing comes twice, and nothing
that was there at the first page is left out.

A page reads 10000 runs, or for a quarter of a second, at most: it may have fewer items than p_limit, or none, and
still a next_cursor. Queued and running ones are found from the queue.
Answers {"items":[…],"next_cursor"}; next_cursor null: that was the last page. Errors: 422 invalid_request.$$;
