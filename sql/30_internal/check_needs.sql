create or replace function wfg.check_needs(
  p_needs wfg.definition_need[],
  p_keys  text[]
)
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
declare
  v_children integer[];
  v_parents  integer[];
begin
  return query
  select n.place, n.path, format('there is no job %s', to_json(wfg.shorten(n.name))),
         wfg.need_hint(n.name, p_keys), false
    from unnest(p_needs) n
   where n.parent is null
   order by n.place
   limit 100;

  return query
  select n.place, n.path, 'a job cannot need itself', 'Take it out.', false
    from unnest(p_needs) n
   where n.child = n.parent;

  return query
  select max(n.place), (array_agg(n.path order by n.place desc))[1],
         format('%s stands %s times', to_json(wfg.shorten(n.name)), count(*)), 'Keep one of them.', false
    from unnest(p_needs) n
   group by n.child, n.name
  having count(*) > 1;

  select array_agg(e.child order by e.child, e.parent), array_agg(e.parent order by e.child, e.parent)
    into v_children, v_parents
    from unnest(p_needs) e
   where e.child <> e.parent;

  return query
  select n.place, n.path, format('the needs form a cycle: %s', wfg.describe_cycle(c.jobs, p_keys)),
         'Take one of these needs out.', false
    from wfg.sort_jobs(cardinality(p_keys), v_children, v_parents) s
   cross join lateral jsonb_array_elements(s.cycles) c (jobs)
   cross join lateral (
     select e.place, e.path
       from unnest(p_needs) e
      where e.child = (c.jobs -> 0)::integer
        and e.parent = (c.jobs -> 1)::integer
      limit 1
   ) n;
end;
$$;

comment on function wfg.check_needs(wfg.definition_need[], text[]) is
'Dependencies that are unknown, on the job itself, met twice, or form a cycle.';
