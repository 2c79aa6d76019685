create or replace function wfg.lanes_of(
  p_claimer wfg.claimer,
  p_labels  text[]
)
  returns wfg.lane_head[]
  language plpgsql
  volatile
as $$
begin
  if cardinality(p_claimer.lane_ids) = 1 then
    return array[(
      p_claimer.lane_ids[1], p_claimer.priorities[1], coalesce(p_claimer.low_water_at, '-infinity'),
      p_claimer.look_at, p_claimer.refreshed_at
    )::wfg.lane_head];
  end if;

  if cardinality(p_claimer.lane_ids) > 16 then
    return wfg.lanes_not_empty(p_labels);
  end if;

  return (
    select array_agg(
             (
               l.lane_id, l.priority, coalesce(m.low_water_at, '-infinity'), m.look_at, m.refreshed_at
             )::wfg.lane_head
             order by l.ord
           )
      from unnest(p_claimer.lane_ids, p_claimer.priorities) with ordinality l (lane_id, priority, ord)
      left join wfg.lane_marks m on m.lane_id = l.lane_id
  );
end;
$$;

comment on function wfg.lanes_of(wfg.claimer, text[]) is
$$The lanes that this worker may take, with their marks; of more than 16 only those that are not empty.

Null when there are none, or its label set was pruned just now.$$;
