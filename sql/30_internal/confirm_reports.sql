create or replace function wfg.confirm_reports(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns wfg.transition[]
  language plpgsql
  volatile
as $$
begin
  -- Under the lock. A lease that was cancelled takes fail and release as its acknowledgement, and refuses success.
  return (
    select array_agg(
             case when q.cancelled_at is null then m else wfg.acknowledgement(m) end
             order by m.run_id, m.job_no
           )
      from unnest(p_moves) m
      join wfg.queue q
        on q.run_id = any (array[m.run_id])
       and q.job_no = m.job_no
       and q.lease_nonce is not distinct from m.lease_nonce
     where q.expires_at > p_now
       and (q.cancelled_at is null or m.move <> 'success')
  );
end;
$$;

comment on function wfg.confirm_reports(wfg.transition[], timestamptz) is
'Those of the planned moves whose lease holds at p_now, now that it is locked. Null when none does.';
