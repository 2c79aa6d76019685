create or replace function wfg.lanes_of(
  p_labels text[],
  p_now    timestamptz
)
  returns wfg.lane_head[]
  language plpgsql
  volatile
as $$
declare
  v_set  constant wfg.label_sets := wfg.label_set(p_labels, p_now);
  v_mark wfg.lane_marks;
begin
  if cardinality(v_set.lane_ids) > 16 then
    return wfg.lanes_not_empty(v_set.labels);
  elsif cardinality(v_set.lane_ids) = 1 then
    select m.* into v_mark from wfg.lane_marks m where m.lane_id = v_set.lane_ids[1];

    return array[(
      v_set.lane_ids[1], v_set.priorities[1], coalesce(v_mark.low_water_at, '-infinity'), v_mark.scanned_at,
      v_mark.refreshed_at
    )::wfg.lane_head];
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

comment on function wfg.lanes_of(text[], timestamptz) is
'The lanes that a worker with these labels may take, with their marks; of more than 16 only those that are not empty.';
