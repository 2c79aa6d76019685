create or replace function wfg.unserved_lanes(
  p_lane_ids integer[],
  p_now      timestamptz
)
  returns integer[]
  language plpgsql
  stable
as $$
declare
  v_crews constant wfg.crew[] := wfg.crews(p_now);
begin
  return array(
    select l.id
      from (select distinct i.lane_id from unnest(p_lane_ids) i (lane_id)) d
      join wfg.lanes l on l.id = d.lane_id
     where not exists (select from unnest(v_crews) c where wfg.takes(c.labels, l.labels))
  );
end;
$$;

comment on function wfg.unserved_lanes(integer[], timestamptz) is
'Those of these lanes that no live worker could take a job of.';
