create or replace function wfg.reset_marks(
  p_lanes        wfg.lane_head[],
  p_low_water_at timestamptz,
  p_took         interval,
  p_now          timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  update wfg.lane_marks m
     set low_water_at = p_low_water_at,
         scanned_at   = p_now,
         look_at      = p_now + wfg.pause_after_look(p_took)
   where m.lane_id in (
           select k.lane_id
             from unnest(p_lanes) l
             join wfg.lane_marks k on k.lane_id = l.lane_id
              for update of k skip locked
         );
end;
$$;

comment on function wfg.reset_marks(wfg.lane_head[], timestamptz, interval, timestamptz) is
'These lanes were looked at from the bottom, which took so long: set their marks. Never waits.';
