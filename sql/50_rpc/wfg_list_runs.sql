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

  v_runs := array(
    select r
      from wfg.runs r
     where r.namespace = wfg.namespace()
       and (p_workflow_id is null or r.workflow_id = p_workflow_id)
       and (p_cursor is null or r.id < p_cursor::uuid)
       and (
             p_state is null
             or r.state = p_state
             or (r.state = 'active' and p_state in ('queued', 'running') and wfg.run_state(r.id) = p_state)
           )
     order by r.id desc
     limit p_limit + 1
  );

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
Answers {"items":[…],"next_cursor"}; next_cursor null: that was the last page. Errors: 422 invalid_request.$$;
