create or replace function wfg.upkeep_if_due(p_now timestamptz)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_reaped integer;
begin
  -- A time further ahead is left from before the clock was set back.
  if pg_sequence_last_value('wfg.upkeep_due_ms') - wfg.epoch_ms(p_now) between 1 and 250
     and not wfg.clock_is_set()
  then
    return false;
  end if;

  if not pg_try_advisory_xact_lock(wfg.lock_class(), 2) then
    return false;
  end if;

  v_reaped := wfg.reap_unlocked_leases(100, p_now);

  -- A full turn means that more is waiting.
  if not wfg.clock_is_set() then
    perform setval('wfg.upkeep_due_ms', wfg.epoch_ms(p_now) + case when v_reaped < 100 then 250 else 0 end);
  end if;

  return v_reaped > 0;
end;
$$;

comment on function wfg.upkeep_if_due(timestamptz) is
$$Upkeep carried by claims: up to 100 expired leases, at most every 250 ms for the whole database, by one claimer.

A session with its own clock does it in every claim, and leaves the common time alone. Whether there was any.$$;
