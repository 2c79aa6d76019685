-- GET /api/outcomes
create or replace function public.wfg_list_outcomes(
  p_workflow_id text    default null,
  p_newest      integer default 20,
  p_limit       integer default 100,
  p_cursor      text    default null
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
  v_ids text[];
begin
  perform wfg.check_range('p_newest', p_newest, 1, 100);
  perform wfg.check_range('p_limit', p_limit, 1, 100);

  if p_workflow_id is not null then
    v_ids := array[p_workflow_id];
  else
    v_ids := array(
      select w.id
        from wfg.workflows w
       where w.namespace = wfg.namespace()
         and w.id > coalesce(p_cursor, '')
         and w.deleted_at is null
       order by w.id
       limit p_limit + 1
    );
  end if;

  return json_build_object(
    'items', coalesce(
      (
        select json_agg(wfg.outcomes_json(w.id, w.version, p_newest) order by w.id)
          from unnest(v_ids[:p_limit]) i (id)
         cross join lateral (
                 select c.id, c.version
                   from wfg.workflows c
                  where c.namespace = wfg.namespace()
                    and c.id = i.id
                    and c.deleted_at is null
                 offset 0
               ) w
      ),
      '[]'
    ),
    'next_cursor', case when cardinality(v_ids) > p_limit then v_ids[p_limit] end
  );
end;
$$;

comment on function public.wfg_list_outcomes(text, integer, integer, text) is
$$How the last runs of workflows ended, in the order of their ids (sql/README.md, Outcomes).

p_workflow_id: only that one; unknown, none. p_newest: so many of the newest runs of each, by any door: 1 to 100.
p_limit: 1 to 100 workflows. p_cursor: next_cursor of the page before.
Answers {"items":[…],"next_cursor"}; next_cursor null: that was the last page. Errors: 422 invalid_request.$$;
