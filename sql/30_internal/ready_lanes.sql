create or replace function wfg.ready_lanes()
  returns setof integer
  language plpgsql
  stable
as $$
begin
  -- A loose index scan: one probe of queue_ready per lane that has anything unleased.
  return query
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
    select w.lane_id from walk w where w.lane_id is not null;
end;
$$;

comment on function wfg.ready_lanes() is 'The lanes that have anything unleased, but for what was put aside.';
