create or replace function wfg.check_limits(
  p_nodes  wfg.definition_node[],
  p_limits jsonb
)
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
begin
  return query
  select n.place, n.path,
         format('must have at most %s %s, found %s: limit %s', p_limits ->> m.name, m.unit, s.size, m.name),
         wfg.limit_hint(m.name), false
    from unnest(p_nodes) n
    join (values
           ('file', 'jobs', 'jobs', 'jobs_per_workflow'),
           ('list', 'jobs', 'jobs', 'jobs_per_workflow'),
           ('file', 'inputs', 'inputs', 'inputs_per_workflow'),
           ('job', 'needs', 'members', 'needs_per_job'),
           ('listed_job', 'depends_on', 'members', 'needs_per_job'),
           ('job', 'labels', 'labels', 'labels_per_job'),
           ('listed_job', 'required_labels', 'labels', 'labels_per_job')
         ) m (level, key, unit, name)
      on m.level = n.level
     and m.key = n.key
   cross join lateral (select wfg.json_size(n.value) as size offset 0) s
   where s.size > (p_limits ->> m.name)::bigint;

  return query
  select n.place, n.path,
         case s.size
           when 0 then 'must not be empty'
           else format('must be at most %s characters, found %s: limit label_chars', p_limits ->> 'label_chars', s.size)
         end,
         case s.size when 0 then 'Write labels: [linux].' else wfg.limit_hint('label_chars') end,
         false
    from unnest(p_nodes) n
   cross join lateral (select length(n.value #>> '{}') as size offset 0) s
   where n.level = 'labels'
     and n.type = 'string'
     and s.size not between 1 and (p_limits ->> 'label_chars')::bigint;
end;
$$;

comment on function wfg.check_limits(wfg.definition_node[], jsonb) is
$$What of a definition is over a limit that may be set, and labels that are empty.

p_limits: as wfg.limits_in_force() has them.$$;
