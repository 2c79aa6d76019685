create or replace function wfg.lanes_from_bottom(
  p_lanes wfg.lane_head[],
  p_now   timestamptz
)
  returns wfg.lane_head[]
  language plpgsql
  immutable
as $$
begin
  return (
    select array_agg(
             (
               l.lane_id, l.priority, '-infinity'::timestamptz, l.scanned_at, l.refreshed_at
             )::wfg.lane_head
             order by l.ord
           )
      from unnest(p_lanes) with ordinality l (lane_id, priority, low_water_at, scanned_at, refreshed_at, ord)
     where l.low_water_at > '-infinity'
       and p_now - l.scanned_at not between '0' and interval '1 second'
  );
end;
$$;

comment on function wfg.lanes_from_bottom(wfg.lane_head[], timestamptz) is
$$Those of these lanes that have a mark, without it, if nobody has looked below it for a second. Null: none.

Under a transaction held open elsewhere such a look passes every entry that died since: not for each idle poll.$$;
