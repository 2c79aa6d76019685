-- GET /api/queue
create or replace function public.wfg_list_queue()
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
  v_now   constant timestamptz := wfg.now();
  v_crews constant wfg.crew[] := wfg.crews(v_now);
  v_lanes constant wfg.lane_use[] := wfg.lanes_in_use(v_now);
  -- 10000 of each of the first lanes; when there are many, less of each.
  v_most  constant integer := greatest(100, least(10000, 100000 / greatest(cardinality(v_lanes), 1)));
begin
  return json_build_object(
    'items', coalesce(
      (
        select json_agg(
                 json_build_object(
                   'required_labels', l.labels,
                   'priority', l.priority,
                   'ready', r.count,
                   'delayed', d.delayed,
                   'held', d.held,
                   'running', l.running,
                   'at_least', r.count = v_most or d.delayed + d.held = v_most,
                   'oldest_wait_ms', wfg.epoch_ms(v_now) - wfg.epoch_ms(r.oldest_at),
                   'workers', c.workers,
                   'idle', c.idle,
                   'paused', l.is_paused,
                   'no_worker', c.workers = 0 and r.count + d.delayed + d.held > 0
                 )
                 order by c.workers = 0 and r.count > 0 desc, r.oldest_at nulls last, d.delayed + d.held desc,
                          l.running desc, l.labels, l.priority desc
               )
          from unnest(v_lanes) l
         cross join lateral (
                 select count(*) as count, min(i.ready_at) as oldest_at
                   from (
                          select q.ready_at
                            from wfg.queue q
                           where q.lane_id = l.lane_id
                             and q.lease_nonce is null
                             and q.ready_at between l.floor_at and v_now
                           order by q.ready_at
                           limit v_most
                        ) i
               ) r
         cross join lateral (
                 select count(*) filter (where i.held_from is null) as delayed,
                        count(*) filter (where i.held_from is not null) as held
                   from (
                          select q.held_from
                            from wfg.queue q
                           where q.lane_id = l.lane_id
                             and q.lease_nonce is null
                             and q.ready_at > v_now
                           order by q.ready_at
                           limit v_most
                        ) i
               ) d
         cross join lateral (
                 select coalesce(sum(w.workers), 0) as workers, coalesce(sum(w.idle), 0) as idle
                   from unnest(v_crews) w
                  where wfg.takes(w.labels, l.labels)
               ) c
      ),
      '[]'
    ),
    'put_aside', (
      select count(*)
        from (
               select
                 from wfg.queue q
                where q.lane_id < 0
                  and q.lease_nonce is null
                limit 10000
             ) a
    ),
    'totals', json_build_object(
      'runs_started', pg_stat_get_tuples_inserted('wfg.runs'::regclass),
      'jobs_queued', pg_stat_get_tuples_inserted('wfg.queue'::regclass),
      'jobs_ended', pg_stat_get_tuples_deleted('wfg.queue'::regclass)
    ),
    'next_cursor', null
  );
end;
$$;

comment on function public.wfg_list_queue() is
$$What waits for which labels, for how long, and who could take it (sql/README.md, QueueLane): an item for each pair of
required labels and priority of which anything is queued or running; what is in trouble comes first.

ready, delayed (a start time, or a retry), held (a cancelled lease of the run before), running: jobs. at_least: there
may be more of them, for counting stops at 10000; at less, when there are more than ten such pairs. oldest_wait_ms: of
the job that has been ready for longest; null when none is. workers: those that live and have the labels; idle: those of
them without a lease. paused: these labels are, or everything is. no_worker: something is queued that no live worker
could take. put_aside: jobs of paused workflows that are due, 10000 at most; they are in no item.
totals: of rows written, as Postgres counts them, of which statistics may be a second late or start anew; for rates.$$;
