create or replace function wfg.lanes_of(
  p_claimer wfg.claimer,
  p_labels  text[],
  p_now     timestamptz
)
  returns wfg.lane_head[]
  language plpgsql
  volatile
as $$
declare
  v_set wfg.label_sets;
begin
  if cardinality(p_claimer.lane_ids) = 1 and p_claimer.used_at >= p_now - interval '1 hour' then
    return array[(
      p_claimer.lane_ids[1], p_claimer.priorities[1], coalesce(p_claimer.low_water_at, '-infinity'),
      p_claimer.scanned_at, p_claimer.refreshed_at
    )::wfg.lane_head];
  end if;

  v_set := wfg.label_set(p_labels, p_now);

  if cardinality(v_set.lane_ids) > 16 then
    return wfg.lanes_not_empty(v_set.labels);
  end if;

  return (
    select array_agg(
             (
               l.lane_id, l.priority, coalesce(m.low_water_at, '-infinity'), m.scanned_at, m.refreshed_at
             )::wfg.lane_head
             order by l.ord
           )
      from unnest(v_set.lane_ids, v_set.priorities) with ordinality l (lane_id, priority, ord)
      left join wfg.lane_marks m on m.lane_id = l.lane_id
  );
end;
$$;

comment on function wfg.lanes_of(wfg.claimer, text[], timestamptz) is
'The lanes that this worker may take, with their marks; of more than 16 only those that are not empty.';
