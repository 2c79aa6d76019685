create or replace function wfg.lanes_not_empty(p_labels text[])
  returns wfg.lane_head[]
  language plpgsql
  volatile
as $$
begin
  -- A loose index scan: one probe of queue_ready per lane that has anything unleased.
  return (
    with recursive walk as (
      (
        select q.lane_id
          from wfg.queue q
         where q.lease_nonce is null
           and q.lane_id > 0                 -- below: what was put aside
         order by q.lane_id
         limit 1
      )
      union all
      select (
               select q.lane_id
                 from wfg.queue q
                where q.lease_nonce is null
                  and q.lane_id > w.lane_id
                order by q.lane_id
                limit 1
             )
        from walk w
       where w.lane_id is not null
    )
    select array_agg(
             (l.id, l.priority, coalesce(m.low_water_at, '-infinity'), m.scanned_at, m.refreshed_at)::wfg.lane_head
             order by l.priority desc, l.id
           )
      from walk w
      join wfg.lanes l on l.id = w.lane_id
      left join wfg.lane_marks m on m.lane_id = w.lane_id
     where l.namespace = wfg.namespace()
       and l.labels <@ p_labels
       and not l.is_paused
  );
end;
$$;

comment on function wfg.lanes_not_empty(text[]) is
'The lanes with anything unleased that a worker with these labels may take now, with their marks.';
