create or replace function wfg.acknowledge(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_refs wfg.job_ref[];
begin
  select array_agg((m.run_id, m.job_no, m.is_wide)::wfg.job_ref)
    into v_refs
    from unnest(p_moves) m
   where m.move = 'acknowledge';

  if v_refs is null then
    return;
  end if;

  update wfg.attempts a
     set reported_at = p_now,
         error       = m.error
    from unnest(p_moves) m
   where m.move = 'acknowledge'
     and a.run_id = m.run_id
     and a.job_no = m.job_no
     and a.attempt = m.attempt;

  perform wfg.end_cancelled_leases(v_refs);
end;
$$;

comment on function wfg.acknowledge(wfg.transition[], timestamptz) is
'A worker has stopped for a cancelled lease: keep its last word with the attempt, and end the lease.';
