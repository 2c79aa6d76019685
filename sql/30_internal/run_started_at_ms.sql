create or replace function wfg.run_started_at_ms(p_run_id uuid)
  returns bigint
  language plpgsql
  stable
as $$
begin
  return wfg.epoch_ms(
    least(
      (
        select min(j.started_at)
          from wfg.jobs j
         where j.run_id = p_run_id
           and not wfg.is_kept(j.state, j.lease_nonce)
      ),
      (select min(q.leased_at) from wfg.queue q where q.run_id = p_run_id),
      (select min(a.started_at) from wfg.attempts a where a.run_id = p_run_id)
    )
  );
end;
$$;

comment on function wfg.run_started_at_ms(uuid) is
'When a job of the run was first leased, as far as that is still known: a lease given back leaves no trace.
Null: never.';
