create or replace function wfg.claim(
  p_worker_id text,
  p_labels    jsonb,
  p_limit     integer,
  p_ttl_secs  integer
)
  returns text[]
  language plpgsql
  volatile
as $$
declare
  v_now     constant timestamptz := wfg.now();
  v_labels  constant text[] := wfg.check_labels(p_labels);
  v_claimer          wfg.claimer;
  v_lanes            wfg.lane_head[];
  v_claims           text[];
  v_is_empty         boolean := false;
  v_began_at         timestamptz;
begin
  perform wfg.check_claim(p_worker_id, p_limit, p_ttl_secs);

  if (
       current_setting('wfg.home', true) is distinct from 'wfg.homes'::regclass::oid::text
       or current_setting('transaction_isolation') <> 'read committed'
     )
     and not wfg.may_claim(v_labels, v_now)
  then
    return null;
  end if;

  v_claimer := wfg.claimer(p_worker_id, v_labels);

  -- Before upkeep, which locks rows: adding a label set may wait.
  if v_claimer.lane_ids is null or v_claimer.used_at < v_now - interval '1 hour' then
    perform wfg.label_set(v_labels, v_now);
    v_claimer := wfg.claimer(p_worker_id, v_labels);
  end if;

  if wfg.upkeep_if_due(v_now) then
    v_claimer := wfg.claimer(p_worker_id, v_labels);   -- it may have lowered marks
  end if;

  v_lanes := wfg.lanes_of(v_claimer, v_labels);

  -- One job of one lane: half the time of the general way.
  if p_limit = 1 and cardinality(v_lanes) = 1 then
    v_claims := wfg.lease_first(v_lanes[1], p_worker_id, p_ttl_secs, v_now, v_claimer.any_paused);
    v_is_empty := v_claims is null and pg_current_xact_id_if_assigned() is null;   -- a lock would have assigned one
  end if;

  if v_claims is null and not v_is_empty then
    v_claims := wfg.pick(v_lanes, p_limit, p_worker_id, p_ttl_secs, v_now, v_claimer.any_paused);
  end if;

  if v_claims is null then
    -- Nothing above the marks: look below them now and then. If there was something, the next ones look there too.
    v_lanes := wfg.lanes_from_bottom(v_lanes, v_now);

    if v_lanes is not null then
      v_began_at := clock_timestamp();
      v_claims := wfg.pick(v_lanes, p_limit, p_worker_id, p_ttl_secs, v_now, v_claimer.any_paused);
      perform wfg.reset_marks(
        v_lanes,
        case
          when v_claims is not null then '-infinity'
          when v_claimer.any_paused then wfg.oldest_of(v_lanes, v_now - interval '0.5 seconds')
          else v_now - interval '0.5 seconds'
        end,
        clock_timestamp() - v_began_at,
        v_now
      );
    end if;
  else
    perform wfg.refresh_marks(v_lanes, v_now);
  end if;

  if v_claimer.last_seen_at >= v_now - interval '5 seconds' and v_claimer.labels = v_labels then
    return v_claims;
  end if;

  perform wfg.touch_worker(p_worker_id, v_labels, v_now);

  return v_claims;
end;
$$;

comment on function wfg.claim(text, jsonb, integer, integer) is
$$Lease up to p_limit ready jobs that a worker with these labels may take: highest priority first, then longest ready.

The worker's label set gives its lanes; each lane is a range of queue_ready. So the cost does not depend on the jobs of
other lanes, on delayed ones, or on history. It waits for no lock. Answers claims (sql/README.md), null when nothing.$$;
