create or replace function wfg.acknowledge(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  -- A lease that ran out in silence was never reported: the attempt keeps saying so.
  update wfg.attempts a
     set reported_at = p_now,
         error       = m.error
    from unnest(p_moves) m
   where m.ord is not null
     and a.run_id = m.run_id
     and a.job_no = m.job_no
     and a.attempt = m.attempt;

  perform wfg.let_go(p_moves, p_now);

  delete from wfg.queue q
   using unnest(p_moves) m
   where q.run_id = any (array[m.run_id])
     and q.job_no = m.job_no;
end;
$$;

comment on function wfg.acknowledge(wfg.transition[], timestamptz) is
'End cancelled leases, whose rows are locked: reported by their workers, whose last word is kept with the
attempt, or run out.';
