create or replace function wfg.check_keys(
  p_nodes   wfg.definition_node[],
  p_lenient boolean
)
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
begin
  -- Unknown and refused keys. `if` is refused in any case: a job must not run because its condition was ignored.
  return query
  select n.place,
         n.path,
         case
           when k.hint is null and k.key is not null then format('%s is not supported yet', n.key)
           when n.key = 'if' then 'if is not supported yet'
           else format('unknown key %s', to_json(wfg.shorten(n.key)))
         end,
         case
           when k.key is not null then coalesce(k.hint, 'Take the key out.')
           else wfg.key_hint(n.level, n.key)
         end,
         p_lenient and n.key <> 'if'
    from unnest(p_nodes) n
    left join wfg.known_keys() k on k.level = n.level and k.key = n.key
   where n.key is not null
     and n.level not in ('inputs', 'jobs', 'env')
     and coalesce(k.types, '{}') = '{}'
   order by n.place
   limit 200;

  -- Keys met twice: json keeps them all, a reader would keep one.
  return query
  select max(n.place),
         n.path,
         format('the key %s stands %s times', to_json(wfg.shorten(n.key)), count(*)),
         'Keep one of them.',
         false
    from unnest(p_nodes) n
   where n.key is not null
   group by n.place[: cardinality(n.place) - 1], n.path, n.key
  having count(*) > 1;

  return query
  select n.place, n.path, format('%s is missing', k.key), k.hint, false
    from unnest(p_nodes) n
    join wfg.known_keys() k on k.level = n.members and k.required
   where n.type = 'object'
     and n.value -> k.key is null;
end;
$$;

comment on function wfg.check_keys(wfg.definition_node[], boolean) is
'Keys of a definition that are unknown (lenient: a warning), not supported, met twice, or missing.';
