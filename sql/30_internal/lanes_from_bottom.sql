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
               l.lane_id, l.priority, '-infinity'::timestamptz, l.look_at, l.refreshed_at
             )::wfg.lane_head
             order by l.ord
           )
      from unnest(p_lanes) with ordinality l (lane_id, priority, low_water_at, look_at, refreshed_at, ord)
     where l.low_water_at > '-infinity'
       and not (l.look_at > p_now and l.look_at <= p_now + interval '8 seconds')   -- later: the clock was set back
  );
end;
$$;

comment on function wfg.lanes_from_bottom(wfg.lane_head[], timestamptz) is
$$Those of these lanes that have a mark, without it, if it is time again to look below it. Null: none.

Under a transaction held open elsewhere such a look passes every entry that died since: not for each idle poll.$$;
