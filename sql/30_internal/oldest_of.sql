create or replace function wfg.oldest_of(
  p_lanes wfg.lane_head[],
  p_at    timestamptz
)
  returns timestamptz
  language plpgsql
  volatile
as $$
begin
  return (
    select least(min(wfg.oldest_entry(l.lane_id, '-infinity')), p_at)
      from unnest(p_lanes) l
  );
end;
$$;

comment on function wfg.oldest_of(wfg.lane_head[], timestamptz) is
$$The first ready_at of all these lanes, or p_at if that is earlier.

For the marks of lanes in which a claim found only jobs of paused workflows, more than it may put aside, or that another
one is putting aside: what is behind them must not be below the marks.$$;
