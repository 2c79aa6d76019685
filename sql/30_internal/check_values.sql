create or replace function wfg.check_values(p_nodes wfg.definition_node[])
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
begin
  -- Types and limits, as wfg.known_keys() has them.
  return query
  select n.place, n.path, f.message, k.hint, false
    from unnest(p_nodes) n
    join wfg.known_keys() k
      on k.level = n.level
     and k.key = case when n.key is null or n.level in ('inputs', 'jobs', 'env') then '*' else n.key end
   cross join lateral (
     select case
         when k.most is null then null
         when n.type in ('integer', 'number') then (n.value::text)::numeric
         when n.type = 'string' then length(n.value #>> '{}')
         else wfg.json_size(n.value)
       end as size
     offset 0                                  -- or it would be computed in each place where it is used
   ) m
   cross join lateral (
     select case
         when n.type <> all (k.types) then
           format('must be %s, found %s', wfg.describe_types(k.types), wfg.describe_json(n.value))
         when n.type = 'string' and k.choices is not null and (n.value #>> '{}') <> all (k.choices) then
           format('must be %s, found %s', array_to_string(k.choices, ' or '), wfg.describe_json(n.value))
         when m.size not between k.least and k.most then
           case
             when n.type = 'string' then format('must be %s to %s characters, found %s', k.least, k.most, m.size)
             when n.type in ('array', 'object') then
               format('must have %s to %s members, found %s', k.least, k.most, m.size)
             else format('must be from %s to %s, found %s', k.least, k.most, wfg.shorten(n.value::text))
           end
       end as message
   ) f
   where k.types <> '{}'
     and f.message is not null;

  -- Names and values of the user's own.
  return query
  select n.place, n.path, f.message, f.hint, false
    from unnest(p_nodes) n
   cross join lateral (
     select format('its name must be 1 to 200 characters, found %s', length(n.key)) as message,
            'Shorten it; a job may have a long name beside its key.' as hint
      where length(n.key) not between 1 and 200
     union all
     select format('%s cannot be the name of an environment variable', to_json(wfg.shorten(n.key))),
            'Write letters, digits and _, not beginning with a digit: MY_NAME.'
      where n.level = 'env'
        and n.key !~ '^[A-Za-z_][A-Za-z0-9_]*$'
     union all
     select format('must be at most 32 KiB, found %s bytes', octet_length(n.value #>> '{}')),
            'Let the script read it from a file.'
      where n.level = 'env'
        and n.type = 'string'
        and octet_length(n.value #>> '{}') > 32768
   ) f
   where n.level in ('inputs', 'jobs', 'env');

  return query
  select n.place, n.path, format('must be at most %s bytes in all, found %s', wfg.max_label_bytes(), b.bytes),
         'Write fewer labels, or shorter ones.', false
    from unnest(p_nodes) n
   cross join lateral (
     select sum(octet_length(l.label)) as bytes from json_array_elements_text(n.value) l (label)
   ) b
   where n.members = 'labels'
     and n.type = 'array'
     and b.bytes > wfg.max_label_bytes();
end;
$$;

comment on function wfg.check_values(wfg.definition_node[]) is
'Values of a definition that have the wrong type or are out of their limits, and names that are.';
