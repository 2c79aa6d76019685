create or replace function wfg.lanes_of(
  p_labels text[],
  p_now    timestamptz
)
  returns wfg.lane_head[]
  language plpgsql
  volatile
as $$
declare
  v_set constant wfg.label_sets := wfg.label_set(p_labels, p_now);
begin
  if cardinality(v_set.lane_ids) > 16 then
    return wfg.lanes_not_empty(v_set.labels);
  end if;

  return (
    select array_agg(
             (l.lane_id, l.priority, coalesce(m.low_water_at, '-infinity'), m.refreshed_at)::wfg.lane_head
             order by l.ord
           )
      from unnest(v_set.lane_ids, v_set.priorities) with ordinality l (lane_id, priority, ord)
      left join wfg.lane_marks m on m.lane_id = l.lane_id
  );
end;
$$;

comment on function wfg.lanes_of(text[], timestamptz) is
'The lanes that a worker with these labels may take, with their marks; of more than 16 only those that are not empty.';
