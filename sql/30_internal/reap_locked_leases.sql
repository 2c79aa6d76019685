create or replace function wfg.reap_locked_leases(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns wfg.transition[]
  language plpgsql
  volatile
as $$
declare
  v_moves wfg.transition[];
begin
  -- Picked without a lock, checked again under it: renewed, reported or cancelled meanwhile is none of ours.
  select array_agg(m order by m.run_id, m.job_no)
    into v_moves
    from unnest(p_moves) m
    join wfg.queue q
      on q.run_id = any (array[m.run_id])
     and q.job_no = m.job_no
     and q.lease_nonce is not distinct from m.lease_nonce
   where q.expires_at <= p_now
     and (q.cancelled_at is not null) = (m.move = 'acknowledge');

  if v_moves is null then
    return null;
  end if;

  perform wfg.apply(v_moves, p_now);

  return v_moves;
end;
$$;

comment on function wfg.reap_locked_leases(wfg.transition[], timestamptz) is
'End those of these leases that are over at p_now, now that they are locked. Answers what was done; null: nothing.';
