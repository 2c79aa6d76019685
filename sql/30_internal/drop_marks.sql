create or replace function wfg.drop_marks(p_lanes wfg.lane_head[])
  returns void
  language plpgsql
  volatile
as $$
begin
  update wfg.lane_marks m
     set low_water_at = '-infinity'
   where m.lane_id in (
           select k.lane_id
             from unnest(p_lanes) l
             join wfg.lane_marks k on k.lane_id = l.lane_id
              for update of k skip locked
         );
end;
$$;

comment on function wfg.drop_marks(wfg.lane_head[]) is
'Something lay below the marks of these lanes: claims start from the bottom until they are refreshed. Never waits.';
