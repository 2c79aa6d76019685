-- GET /api/pauses
create or replace function public.wfg_list_pauses(
  p_limit  integer default 100,
  p_cursor text    default null
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
  v_pauses wfg.pauses[];
begin
  perform wfg.check_range('p_limit', p_limit, 1, 1000);

  if p_cursor !~ '^[0-9]{1,9}$' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_cursor: is not a cursor of this list',
      hint    = 'Leave it out for the oldest pauses.';
  end if;

  v_pauses := array(
    select p
      from wfg.pauses p
     where p.namespace = wfg.namespace()
       and p.id > coalesce(p_cursor::integer, 0)
     order by p.id
     limit p_limit + 1
  );

  return json_build_object(
    'items', coalesce(
      (select json_agg(wfg.pause_json(p) order by p.id) from unnest(v_pauses[1:p_limit]) p),
      '[]'
    ),
    'next_cursor', case when cardinality(v_pauses) > p_limit then (v_pauses[p_limit]).id::text end
  );
end;
$$;

comment on function public.wfg_list_pauses(integer, text) is
$$The pauses in force, oldest first (sql/README.md, Pause).

p_limit: 1 to 1000. p_cursor: next_cursor of the page before.
Answers {"items":[…],"next_cursor"}; next_cursor null: that was the last page. Errors: 422 invalid_request.$$;
