create or replace function wfg.crews(p_now timestamptz)
  returns wfg.crew[]
  language plpgsql
  stable
as $$
begin
  return coalesce(
    (
      select array_agg((c.labels, c.workers, c.idle)::wfg.crew)
        from (
               select wfg.sorted_labels(k.labels) as labels,
                      count(*) as workers,
                      count(*) filter (where not k.busy) as idle
                 from (
                        select w.labels,
                               w.last_seen_at,
                               w.id in (
                                 select q.worker_id
                                   from wfg.queue q
                                  where q.lease_nonce is not null
                                    and q.expires_at > p_now
                                    and q.cancelled_at is null
                               ) as busy
                          from wfg.workers w
                         where w.namespace = wfg.namespace()
                        offset 0
                      ) k
                where k.busy
                   or k.last_seen_at >= p_now - interval '60 seconds'
                group by 1
             ) c
    ),
    '{}'
  );
end;
$$;

comment on function wfg.crews(timestamptz) is
'The workers that live, by their labels: those with a live lease, and those heard of in the last 60 seconds.';
