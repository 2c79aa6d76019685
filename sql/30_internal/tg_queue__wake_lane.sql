create or replace function wfg.tg_queue__wake_lane()
  returns trigger
  language plpgsql
as $$
begin
  if new.ready_at <= wfg.now() then
    perform wfg.announce('wfg_wake', new.lane_id);
  end if;

  return null;
end;
$$;

comment on function wfg.tg_queue__wake_lane() is 'A job is ready again: wake who waits for its lane. Channel wfg_wake.';
