-- GET /api/runs
create or replace function public.wfg_list_runs(
  p_workflow_id text default null,
  p_state       text default null,
  p_limit       integer default 100,
  p_cursor      text default null
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
  v_runs wfg.runs[];
begin
  perform wfg.check_range('p_limit', p_limit, 1, 1000);

  if p_state not in ('queued', 'running', 'success', 'failure', 'cancelled') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_state: must be queued, running, success, failure or cancelled',
      hint    = 'Leave it out for all.';
  end if;

  if not wfg.is_run_id(p_cursor) then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_cursor: is not a cursor of this list',
      hint    = 'Leave it out for the newest runs.';
  end if;

  v_runs := case
    when p_state in ('queued', 'running') then
      wfg.active_runs_before(coalesce(p_cursor::uuid, wfg.max_uuid()), p_workflow_id, p_state, p_limit + 1)
    else
      wfg.runs_before(coalesce(p_cursor::uuid, wfg.max_uuid()), p_workflow_id, p_state, p_limit + 1)
  end;

  return json_build_object(
    'items', coalesce(
      (
        select json_agg(wfg.run_json(r, null) order by r.id desc)
          from unnest(v_runs[1:p_limit]) r
      ),
      '[]'
    ),
    'next_cursor', case when cardinality(v_runs) > p_limit then (v_runs[p_limit]).id end
  );
end;
$$;

comment on function public.wfg_list_runs(text, text, integer, text) is
$$Runs, newest first, without their jobs (sql/README.md, Run).

p_workflow_id, p_state: only those of it, in it. p_limit: 1 to 1000. p_cursor: next_cursor of the page before.
A page of queued or running ones is found from the queue; of another state it reads as many runs as it must pass over.
Answers {"items":[…],"next_cursor"}; next_cursor null: that was the last page. Errors: 422 invalid_request.$$;
