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
  if cardinality(p_lanes) > 16 then
    p_lanes := array(
      select l
        from unnest(p_lanes) l
       order by l.refreshed_at <= p_now nulls first, l.refreshed_at
       limit 16
    );
  end if;

  foreach v_lane in array p_lanes loop
    -- One from the future is left from before the clock was set back.
    if v_lane.refreshed_at is null or p_now - v_lane.refreshed_at not between '0' and interval '1 second' then
      perform wfg.refresh_mark(v_lane.lane_id, p_now);
    end if;
  end loop;
end;
$$;

comment on function wfg.refresh_marks(wfg.lane_head[], timestamptz) is
$$Refresh those marks of these lanes that are a second old: 16 at most, for one claim must not pay for hundreds.

The oldest first: else the first lanes would be due again before the last ones get their turn.$$;
