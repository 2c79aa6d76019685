-- GET /api/limits
create or replace function public.wfg_list_limits()
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  return json_build_object(
    'items', (
      select json_agg(wfg.limit_json(k.name) order by k.ordinality)
        from wfg.known_limits() with ordinality k
    ),
    'next_cursor', null
  );
end;
$$;

comment on function public.wfg_list_limits() is
$$All limits that may be set, in the order of docs/limits.md (sql/README.md, Limit).

Answers {"items":[…],"next_cursor":null}.$$;
