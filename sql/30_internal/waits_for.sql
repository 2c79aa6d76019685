create or replace function wfg.waits_for(
  p_entry wfg.queue,
  p_now   timestamptz
)
  returns text
  language plpgsql
  immutable
as $$
begin
  return case
    when p_entry.run_id is null then 'needs'
    when p_entry.lease_nonce is not null then null
    when p_entry.ready_at <= p_now then 'ready'
    when p_entry.held_from is not null then 'held'
    else 'delayed'
  end;
end;
$$;

comment on function wfg.waits_for(wfg.queue, timestamptz) is
$$Why a queued job waits: needs (it is not in the queue: null), delayed (a start time, or a retry), held (a cancelled
lease of the run before), or ready: for a worker. Null: it is running.$$;
