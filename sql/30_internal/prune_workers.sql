create or replace function wfg.prune_workers(p_before timestamptz)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_count integer;
begin
  delete from wfg.workers w
   where (w.namespace, w.id) in (
           select k.namespace, k.id
             from wfg.workers k
            where k.last_seen_at < p_before
              and not exists (select from wfg.queue q where q.lease_nonce is not null and q.worker_id = k.id)
              for update skip locked
         );
  get diagnostics v_count = row_count;

  return v_count;
end;
$$;

comment on function wfg.prune_workers(timestamptz) is
'Forget workers not heard of since, that hold no lease. Answers how many.';
