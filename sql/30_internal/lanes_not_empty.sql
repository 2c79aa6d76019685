create or replace function wfg.lanes_not_empty(p_labels text[])
  returns wfg.lane_head[]
  language plpgsql
  volatile
as $$
begin
  return (
    select array_agg(
             (l.id, l.priority, coalesce(m.low_water_at, '-infinity'), m.look_at, m.refreshed_at)::wfg.lane_head
             order by l.priority desc, l.id
           )
      from wfg.ready_lanes() w (lane_id)
      join wfg.lanes l on l.id = w.lane_id
      left join wfg.lane_marks m on m.lane_id = w.lane_id
     where l.namespace = wfg.namespace()
       and wfg.takes(p_labels, l.labels)
       and not l.is_paused
  );
end;
$$;

comment on function wfg.lanes_not_empty(text[]) is
'The lanes with anything unleased that a worker with these labels may take now, with their marks.';
