create or replace function wfg.tg_queue__wake_lanes()
  returns trigger
  language plpgsql
as $$
begin
  perform wfg.announce('wfg_wake', l.lane_id)
     from (select distinct n.lane_id from new_rows n where n.ready_at <= wfg.now()) l;

  return null;
end;
$$;

comment on function wfg.tg_queue__wake_lanes() is 'Jobs were queued: wake who waits for their lanes. Channel wfg_wake.';
