create or replace function wfg.pick(
  p_lanes      wfg.lane_head[],
  p_limit      integer,
  p_worker_id  text,
  p_ttl_secs   integer,
  p_now        timestamptz,
  p_any_paused boolean
)
  returns text[]
  language plpgsql
  volatile
as $$
declare
  -- The answer must be made in time, and fit a gigabyte; what one job is handed may be 4 MiB of outputs, and as much of
  -- inputs. A step reads what the ones before it have leased, so there are few.
  v_max_bytes constant integer := 16 * 1024 * 1024;
  v_step      constant integer := 100;

  v_lanes  wfg.lane_head[] := p_lanes;
  v_shares wfg.lane_share[];
  v_share  wfg.lane_share;
  v_more   text[];
  v_claims text[];
  v_left   integer;
  v_bytes  bigint := 0;
  v_aside  integer := 1;
begin
  while coalesce(cardinality(v_claims), 0) < p_limit and cardinality(v_lanes) > 0 loop
    v_shares := wfg.peek(v_lanes, p_limit - coalesce(cardinality(v_claims), 0), p_now);

    exit when v_shares is null;

    foreach v_share in array v_shares loop
      v_left := v_share.jobs;

      loop
        if v_claims is not null then
          v_bytes := v_bytes + coalesce((select sum(octet_length(m.claim)) from unnest(v_more) m (claim)), 0);
          if v_bytes > v_max_bytes then
            return v_claims;
          end if;
        end if;

        v_share.jobs := least(v_left, v_step);
        v_more := wfg.lease(v_share, p_worker_id, p_ttl_secs, p_now, p_any_paused);
        v_claims := v_claims || v_more;
        v_left := v_left - coalesce(cardinality(v_more), 0);

        exit when v_left = 0 or cardinality(v_more) is distinct from v_share.jobs;
      end loop;

      continue when v_left = 0;

      -- Paused jobs stood in the way: away with them, and more each time, and look again.
      if p_any_paused and v_aside <= 100000 then
        v_aside := v_aside * 10;
        exit when wfg.put_aside(v_share, least(v_aside, 1000), p_now);
      end if;

      -- A lane that gives less than it showed is used up: the rest is locked or gone. Others may make up for it.
      v_lanes := array(
        select l
          from unnest(v_lanes) l
         where l.lane_id <> v_share.lane_id
      );
    end loop;
  end loop;

  return v_claims;
end;
$$;

comment on function wfg.pick(wfg.lane_head[], integer, text, integer, timestamptz, boolean) is
$$Lease up to p_limit ready jobs of these lanes: highest priority first, then longest ready, then by key.

The heads of the lanes are peeked without locks to learn how many each gives. Null when there is nothing. When what they
are handed is more than 16 MiB, the next claim has the rest.
p_any_paused: some workflow is paused. Its jobs are put aside as they are met, some thousands in one claim at most.$$;
