create or replace function wfg.lane_floor(
  p_lane_id integer,
  p_now     timestamptz
)
  returns timestamptz
  language plpgsql
  stable
as $$
begin
  -- A standby has no marks: they are not in the WAL. Even to look for them is an error there.
  if pg_is_in_recovery() then
    return '-infinity'::timestamptz;
  end if;

  return coalesce(
    (
      select m.low_water_at
        from wfg.lane_marks m
       where m.lane_id = p_lane_id
         and p_now - m.scanned_at between '0' and interval '10 seconds'
    ),
    '-infinity'
  );
end;
$$;

comment on function wfg.lane_floor(integer, timestamptz) is
$$Where those who only look begin to read a lane (0: the leases), so as not to pass all that died since a transaction
that is held open elsewhere began.

The mark, while claims scan from the bottom every few seconds; else the bottom: what nobody claims must be seen.$$;
