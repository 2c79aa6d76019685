-- GET /api/workers
create or replace function public.wfg_list_workers()
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
  v_now constant timestamptz := wfg.now();
begin
  return coalesce(
    (
      select json_agg(
               json_build_object(
                 'worker_id', w.id,
                 'labels', w.labels,
                 'registered_at_ms', wfg.epoch_ms(w.registered_at),
                 'last_heartbeat_ms', wfg.epoch_ms(w.last_seen_at),
                 'current_job', l.current_job,
                 'status', case
                   when l.worker_id is not null then 'busy'
                   when w.last_seen_at < v_now - interval '60 seconds' then 'offline'
                   else 'idle'
                 end
               )
               order by w.registered_at, w.id
             )
        from wfg.workers w
        left join (
               select q.worker_id, (array_agg(s.key order by q.leased_at desc, s.key))[1] as current_job
                 from wfg.queue q
                 join wfg.job_specs s on s.version_id = q.version_id and s.job_no = q.job_no
                where q.lease_nonce is not null
                  and q.expires_at > v_now
                  and q.cancelled_at is null
                group by q.worker_id
             ) l on l.worker_id = w.id
       where w.namespace = wfg.namespace()
    ),
    '[]'
  );
end;
$$;

comment on function public.wfg_list_workers() is
$$All workers, in the order of registration: an array of {"worker_id","labels","registered_at_ms","last_heartbeat_ms",
"current_job","status"}.

status: busy with a live lease (current_job: the one it took last); offline after 60 seconds without any
contact; else idle.$$;
