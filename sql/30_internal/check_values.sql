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
         when n.type <> all (k.types) then
           format('must be %s, found %s', wfg.describe_types(k.types), wfg.describe_json(n.value))
         when n.type = 'string' and (n.value #>> '{}') <> all (k.choices) then
           format('must be %s, found %s', array_to_string(k.choices, ' or '), wfg.describe_json(n.value))
         when n.type in ('integer', 'number') and (n.value::text)::numeric not between k.least and k.most then
           format('must be from %s to %s, found %s', k.least, k.most, wfg.shorten(n.value::text))
         when n.type = 'string' and length(n.value #>> '{}') not between k.least and k.most then
           format('must be %s to %s characters, found %s', k.least, k.most, length(n.value #>> '{}'))
         when n.type = 'array' and json_array_length(n.value) not between k.least and k.most then
           format('must have %s to %s members, found %s', k.least, k.most, json_array_length(n.value))
         when n.type = 'object' and k.most is not null
           and (select count(*) from json_object_keys(n.value)) not between k.least and k.most then
           format('must have %s to %s members, found %s', k.least, k.most,
                  (select count(*) from json_object_keys(n.value)))
       end as message
   ) f
   where k.types <> '{}'
     and f.message is not null;

  -- Names chosen by the user.
  return query
  select n.place, n.path, format('its name must be 1 to 200 characters, found %s', length(n.key)),
         'Shorten it; a job may have a long name beside its key.', false
    from unnest(p_nodes) n
   where n.level in ('inputs', 'jobs', 'env')
     and length(n.key) not between 1 and 200;

  return query
  select n.place, n.path, format('%s cannot be the name of an environment variable', to_json(wfg.shorten(n.key))),
         'Write letters, digits and _, not beginning with a digit: MY_NAME.', false
    from unnest(p_nodes) n
   where n.level = 'env'
     and n.key !~ '^[A-Za-z_][A-Za-z0-9_]*$';

  return query
  select n.place, n.path, format('must be at most 32 KiB, found %s bytes', octet_length(n.value #>> '{}')),
         'Let the script read it from a file.', false
    from unnest(p_nodes) n
   where n.level = 'env'
     and n.type = 'string'
     and octet_length(n.value #>> '{}') > 32768;
end;
$$;

comment on function wfg.check_values(wfg.definition_node[]) is
'Values of a definition that have the wrong type or are out of their limits, and names that are.';
