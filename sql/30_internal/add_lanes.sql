create or replace function wfg.add_lanes(p_definition jsonb)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_unknown wfg.lanes[];
  v_added   integer[];
begin
  v_unknown := wfg.unknown_lanes(p_definition);

  if v_unknown = '{}' then
    return;
  end if;

  perform wfg.lock_lanes();

  with added as (
    insert into wfg.lanes (namespace, labels, priority, is_paused)
    select u.namespace, u.labels, u.priority, wfg.pause_of(null, u.labels) is not null
      from unnest(v_unknown) u
     order by u.priority, u.labels
        on conflict on constraint lanes_distinct do nothing
    returning id
  )
  select array_agg(a.id)
    into v_added
    from added a;

  update wfg.label_sets s
     set lane_ids = m.lane_ids,
         priorities = m.priorities
    from wfg.label_sets t
   cross join lateral (
     select array_agg(l.id order by l.priority desc, l.id) as lane_ids,
            array_agg(l.priority order by l.priority desc, l.id) as priorities,
            bool_or(l.is_new) as has_new
       from (
         select k.id, k.priority, false as is_new
           from unnest(t.lane_ids, t.priorities) k (id, priority)
         union all
         select n.id, n.priority, true
           from wfg.lanes n
          where n.id = any (v_added)
            and n.namespace = t.namespace
            and wfg.takes(t.labels, n.labels)
            and not n.is_paused
       ) l
   ) m
   where t.id = s.id
     and m.has_new;
end;
$$;

comment on function wfg.add_lanes(jsonb) is
$$Create the lanes of a normal form that are not there yet, and give them to every label set that may take them.$$;
