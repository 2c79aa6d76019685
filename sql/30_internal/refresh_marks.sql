create or replace function wfg.refresh_marks(
  p_lanes wfg.lane_head[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_lane wfg.lane_head;
begin
  foreach v_lane in array p_lanes loop
    -- One from the future is left from before the clock was set back.
    if v_lane.refreshed_at is null or p_now - v_lane.refreshed_at not between '0' and interval '1 second' then
      perform wfg.refresh_mark(v_lane.lane_id, p_now);
    end if;
  end loop;
end;
$$;

comment on function wfg.refresh_marks(wfg.lane_head[], timestamptz) is
'Refresh those marks of these lanes that are a second old.';
