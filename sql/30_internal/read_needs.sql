create or replace function wfg.read_needs(
  p_nodes wfg.definition_node[],
  p_keys  text[]
)
  returns wfg.definition_need[]
  language plpgsql
  immutable
  set enable_nestloop = off
as $$
begin
  return array(
    with job as materialized (
      select k.key, min(k.no)::integer as no
        from unnest(p_keys) with ordinality k (key, no)
       group by k.key
    )
    select row(n.place, n.path, n.place[2], n.value #>> '{}', j.no)::wfg.definition_need
      from unnest(p_nodes) n
      left join job j on j.key = n.value #>> '{}'
     where n.type = 'string'
       and (n.level = 'needs' and cardinality(n.place) = 4 or n.level = 'job' and n.key = 'needs')
  );
end;
$$;

comment on function wfg.read_needs(wfg.definition_node[], text[]) is
'The dependencies in a definition, as far as they are strings. p_keys: the keys of its jobs, in its order.';
