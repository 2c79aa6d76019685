create or replace function wfg.announce(
  p_channel text,
  p_number  integer
)
  returns void
  language plpgsql
  volatile
as $$
begin
  -- NOTIFY takes a lock of the whole database at commit. One announcer at a time per number; who comes meanwhile says
  -- nothing, so a listener looks again for a while after each word, and now and then without one.
  if pg_try_advisory_xact_lock(wfg.lock_class() + 1, p_number) then
    perform pg_notify(p_channel, p_number::text);
  end if;
end;
$$;

comment on function wfg.announce(text, integer) is
$$A hint to listeners, sent at commit: channel wfg_wake with the number of a lane where something is ready, or wfg_runs.

The tables are the truth: losing it costs latency, never a job.$$;
