create or replace function wfg.refresh_mark(
  p_lane_id integer,
  p_now     timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_mark   wfg.lane_marks;
  v_oldest timestamptz;
begin
  insert into wfg.lane_marks (lane_id, low_water_at, refreshed_at, scanned_at, look_at)
  select p_lane_id, '-infinity', '-infinity', p_now, p_now + interval '1 second'
   where not exists (select from wfg.lane_marks m where m.lane_id = p_lane_id)
     and pg_try_advisory_xact_lock(wfg.lock_class(), hashtext('mark ' || p_lane_id))
      on conflict do nothing;

  select m.*
    into v_mark
    from wfg.lane_marks m
   where m.lane_id = p_lane_id
     and (m.refreshed_at <= p_now - interval '1 second' or m.refreshed_at > p_now)
     for update skip locked;

  if v_mark.lane_id is null then
    return;
  end if;

  -- Entries may come to lie below the mark: their time is read before they are committed, and others are released.
  -- So each eighth scan or so is from the bottom: what commits late waits for 10 seconds at most.
  if v_mark.scanned_at <= p_now - interval '8 seconds' or v_mark.scanned_at > p_now then
    v_mark.scanned_at := p_now;
    v_mark.look_at := p_now + interval '1 second';
    v_mark.low_water_at := '-infinity';
  end if;

  v_oldest := wfg.oldest_entry(p_lane_id, v_mark.low_water_at);

  update wfg.lane_marks m
     set low_water_at = least(v_oldest, p_now - interval '0.5 seconds'),
         refreshed_at = p_now,
         scanned_at   = v_mark.scanned_at,
         look_at      = v_mark.look_at
   where m.lane_id = p_lane_id;
end;
$$;

comment on function wfg.refresh_mark(integer, timestamptz) is
$$Set the mark of a lane (0: of the leases) to its oldest entry, or half a second ago: what is queued may commit late.

At most once a second per lane, by whoever gets the row; nobody waits for it.$$;
