-- GET /metrics
create or replace function public.wfg_metrics()
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_limit constant integer := 50000;
  v_shown constant integer := 20;
  v_now   constant timestamptz := wfg.now();
begin
  return (
    with leases as materialized (
      select q.lane_id, q.worker_id,
             case
               when q.expires_at <= v_now then 'overdue'
               when q.cancelled_at is not null then 'cancelled'
               else 'live'
             end as state
        from wfg.queue q
       where q.lease_nonce is not null
       order by q.expires_at
       limit v_limit
    ),
    depths as materialized (
      select d.lane_id, d.ready, d.delayed, d.held, d.oldest_ready_at
        from unnest(wfg.lane_depths(v_limit, v_now)) d
    ),
    -- By grouping, not by joins: there may be many of each.
    lanes as materialized (
      select l.labels, l.priority, s.ready, s.delayed, s.held, s.leased, s.oldest_ready_secs,
             row_number() over (order by s.ready desc, s.leased desc, s.delayed + s.held desc, l.id) as place
        from (
               select u.lane_id,
                      sum(u.ready) as ready,
                      sum(u.delayed) as delayed,
                      sum(u.held) as held,
                      sum(u.leased) as leased,
                      coalesce(round(extract(epoch from v_now - min(u.oldest_ready_at)), 3), 0) as oldest_ready_secs
                 from (
                        select d.lane_id, d.ready, d.delayed, d.held, 0 as leased, d.oldest_ready_at from depths d
                        union all
                        select e.lane_id, 0, 0, 0, 1, null from leases e where e.state = 'live'
                      ) u
                group by u.lane_id
             ) s
        join wfg.lanes l on l.id = s.lane_id and l.namespace = wfg.namespace()
    ),
    runs as materialized (
      select q.run_id
        from wfg.queue q
       where q.cancelled_at is null
       order by q.run_id
       limit v_limit
    ),
    workers as materialized (
      select k.id, max(k.last_seen_at) as last_seen_at, bool_or(k.is_busy) as is_busy
        from (
               (
                 select w.id, w.last_seen_at, false as is_busy
                   from wfg.workers w
                  where w.namespace = wfg.namespace()
                  limit v_limit
               )
               union all
               select e.worker_id, null, true from leases e where e.state = 'live'
             ) k
       group by k.id
    )
    select json_build_object(
             'now_ms', wfg.epoch_ms(v_now),
             'capped', (
               select count(*) >= v_limit / 50
                      or coalesce(sum(d.ready + d.delayed + d.held), 0) >= v_limit
                 from depths d
             )
             or (select count(*) >= v_limit from leases)
             or (select count(*) >= v_limit from runs)
             or (select count(*) >= v_limit from workers),
             'lanes', coalesce(
               (
                 select json_agg(
                          json_build_object(
                            'required_labels', l.labels,
                            'priority', l.priority,
                            'ready', l.ready,
                            'delayed', l.delayed,
                            'held', l.held,
                            'leased', l.leased,
                            'oldest_ready_secs', l.oldest_ready_secs
                          )
                          order by l.place
                        )
                   from lanes l
                  where l.place <= v_shown
               ),
               '[]'
             ),
             'other', (
               select json_build_object(
                        'lanes', count(*),
                        'ready', coalesce(sum(l.ready), 0),
                        'delayed', coalesce(sum(l.delayed), 0),
                        'held', coalesce(sum(l.held), 0),
                        'leased', coalesce(sum(l.leased), 0),
                        'oldest_ready_secs', coalesce(max(l.oldest_ready_secs), 0)
                      )
                 from lanes l
                where l.place > v_shown
             ),
             'pauses', (
               select json_build_object(
                        'workflow', count(*) filter (where p.kind = 'workflow'),
                        'labels', count(*) filter (where p.kind = 'labels'),
                        'all', count(*) filter (where p.kind = 'all')
                      )
                 from wfg.pauses p
                where p.namespace = wfg.namespace()
             ),
             'put_aside', (
               select count(*)
                 from (
                        select
                          from wfg.queue q
                         where q.lane_id < 0
                           and q.lease_nonce is null
                         limit v_limit
                      ) a
             ),
             'leases', (
               select json_build_object(
                        'live', count(*) filter (where e.state = 'live'),
                        'overdue', count(*) filter (where e.state = 'overdue'),
                        'cancelled', count(*) filter (where e.state = 'cancelled')
                      )
                 from leases e
             ),
             'workers', (
               select json_build_object(
                        'busy', count(*) filter (where w.is_busy),
                        'idle', count(*) filter (
                          where not w.is_busy and w.last_seen_at >= v_now - interval '60 seconds'
                        ),
                        'offline', count(*) filter (
                          where not w.is_busy and w.last_seen_at < v_now - interval '60 seconds'
                        )
                      )
                 from workers w
             ),
             'runs', json_build_object('active', (select count(distinct r.run_id) from runs r)),
             'totals', wfg.totals_json()
           )
  );
end;
$$;

comment on function public.wfg_metrics() is
$$What only the database knows, whoever its clients are: what waits, what runs, and how often something happened.

lanes: by required labels and priority, the 20 with most ready jobs; other: all the rest, as sums and its greatest age.
ready, delayed (for a retry or a start time), held (for a cancelled lease) and leased are jobs now; oldest_ready_secs:
how long the first ready job has been waiting. pauses: how many there are; put_aside: jobs of paused workflows that are
due, which are in no lane. leases: overdue ones wait for upkeep. workers: as in wfg_list_workers.
totals: since the sequences began; docs/observe.md says what each counts.
At most 50000 entries of each kind are counted, of 1000 lanes; capped: there may be more. The ages of these lanes are
right all the same.
Answers {"now_ms","capped","lanes","other","pauses","put_aside","leases","workers","runs","totals"}.$$;
