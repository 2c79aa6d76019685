-- wfg limits set
create or replace function public.wfg_set_limit(
  p_name  text,
  p_value bigint default null
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_limit wfg.known_limit;
begin
  select k.* into v_limit from wfg.known_limits() k where k.name = p_name;

  if not found then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format('p_name: there is no limit %s', coalesce(to_json(wfg.shorten(p_name))::text, 'null')),
      hint    = coalesce(
                  'Did you mean '
                  || wfg.nearest_name(coalesce(p_name, ''), array(select k.name from wfg.known_limits() k)) || '? ',
                  ''
                ) || 'wfg_list_limits has all of them.';
  end if;

  if p_value is not null then
    perform wfg.check_range('p_value', p_value, v_limit.least, v_limit.most);
  end if;

  if p_value is distinct from v_limit.preset and p_value is not null then
    insert into wfg.limits as l (namespace, name, value)
    values (wfg.namespace(), p_name, p_value)
        on conflict (namespace, name) do update
       set value = excluded.value;
  else
    delete from wfg.limits l where l.namespace = wfg.namespace() and l.name = p_name;
  end if;

  return wfg.limit_json(p_name);
end;
$$;

comment on function public.wfg_set_limit(text, bigint) is
$$Set a limit, from the next call on. For the owner only. What was stored before stays as it is, and is run, re-run and
claimed as ever.

p_value: within the bounds that wfg_list_limits answers; null: the default again.
Answers the Limit (sql/README.md, Limit). Errors: 422 invalid_request.$$;
