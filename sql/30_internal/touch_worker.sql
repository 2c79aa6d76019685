create or replace function wfg.touch_worker(
  p_worker_id text,
  p_labels    text[],
  p_now       timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_worker wfg.workers;
begin
  select w.*
    into v_worker
    from wfg.workers w
   where w.namespace = wfg.namespace()
     and w.id = p_worker_id;

  if v_worker.id is null then
    -- Met at a claim. Whoever else meets it now will write it: nobody waits for a worker's row.
    if p_labels is not null
       and pg_try_advisory_xact_lock(wfg.lock_class(), hashtext('worker ' || p_worker_id))
    then
      insert into wfg.workers (namespace, id, labels, registered_at, last_seen_at)
      values (wfg.namespace(), p_worker_id, p_labels, p_now, p_now)
          on conflict do nothing;
    end if;
  elsif v_worker.last_seen_at < p_now - interval '5 seconds'
     or v_worker.labels is distinct from coalesce(p_labels, v_worker.labels)
  then
    update wfg.workers w
       set last_seen_at = greatest(w.last_seen_at, p_now),
           labels       = coalesce(p_labels, w.labels)
     where (w.namespace, w.id) in (
             select k.namespace, k.id
               from wfg.workers k
              where k.namespace = v_worker.namespace
                and k.id = v_worker.id
                for update skip locked
           );
  end if;
end;
$$;

comment on function wfg.touch_worker(text, text[], timestamptz) is
$$Note that a worker was heard of: at most every 5 seconds, last in the transaction, and without waiting.

p_labels: those it claims with; null when unknown. An unknown worker is registered by its first claim.$$;
