create or replace function wfg.read_nodes(
  p_level text,
  p_value json
)
  returns wfg.definition_node[]
  language plpgsql
  immutable
as $$
begin
  return array(
    with recursive known as materialized (
      select k.level, k.key, k.items, k.members
        from wfg.known_keys() k
    ),
    node as (
      select '{}'::integer[] as place, ''::text as path, null::text as level, null::text as key, p_value as value,
             wfg.json_type(p_value) as type, p_level as members
      union all
      select n.place || m.no::integer,
             n.path || case
               when n.type = 'array' then '[' || m.no - 1 || ']'
               when m.key ~ '^[^]".[:space:][]{1,80}$' then case n.path when '' then '' else '.' end || m.key
               else '[' || to_json(wfg.shorten(m.key))::text || ']'
             end,
             n.members,
             m.key,
             m.value,
             m.type,
             case m.type when 'array' then k.items when 'object' then k.members end
        from node n
       cross join lateral (
         select o.no, o.key, o.value, wfg.json_type(o.value) as type, o.key as known_as
           from json_each(case n.type when 'object' then n.value end) with ordinality o (key, value, no)
         union all
         select a.no, null, a.value, wfg.json_type(a.value), '*'
           from json_array_elements(case n.type when 'array' then n.value end) with ordinality a (value, no)
       ) m
        left join known k
          on k.level = n.members
         and k.key = case when n.members in ('inputs', 'jobs', 'env') then '*' else m.known_as end
       where n.members is not null
         and cardinality(n.place) < 12          -- children within children within …
    )
    select row(n.place, n.path, n.level, n.key, n.value, n.type, n.members)::wfg.definition_node
      from node n
  );
end;
$$;

comment on function wfg.read_nodes(text, json) is
$$Every value of a definition that wfg.known_keys() speaks of, and every unknown key, with its place and path.

p_level: file or list. Duplicate keys give a node each. The JSON must be such that jsonb can hold it.$$;
