create or replace function wfg.lanes_from_bottom(p_lanes wfg.lane_head[])
  returns wfg.lane_head[]
  language plpgsql
  immutable
as $$
begin
  return (
    select array_agg((l.lane_id, l.priority, '-infinity'::timestamptz, l.refreshed_at)::wfg.lane_head order by l.ord)
      from unnest(p_lanes) with ordinality l (lane_id, priority, low_water_at, refreshed_at, ord)
     where l.low_water_at > '-infinity'
  );
end;
$$;

comment on function wfg.lanes_from_bottom(wfg.lane_head[]) is
'Those of these lanes that have a mark, without it. Null when none has: then all was looked at already.';
