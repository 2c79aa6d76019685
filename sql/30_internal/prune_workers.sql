create or replace function wfg.prune_workers(
  p_before  timestamptz,
  p_limit   integer,
  p_dry_run boolean
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_workers wfg.workers[];
begin
  v_workers := array(
    select w
      from wfg.workers w
     where w.last_seen_at < p_before
       -- Not by a join: that would read all leases for each worker.
       and w.id not in (select q.worker_id from wfg.queue q where q.lease_nonce is not null)
     limit p_limit
       for update skip locked
  );

  if not p_dry_run then
    delete from wfg.workers w using unnest(v_workers) k where w.namespace = k.namespace and w.id = k.id;
  end if;

  return cardinality(v_workers);
end;
$$;

comment on function wfg.prune_workers(timestamptz, integer, boolean) is
'Forget workers not heard of since, that hold no lease. Answers how many.';
