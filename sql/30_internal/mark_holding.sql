create or replace function wfg.mark_holding(p_leases wfg.job_ref[])
  returns void
  language plpgsql
  volatile
as $$
begin
  update wfg.queue q
     set cancelled_at = q.cancelled_at
    from unnest(p_leases) l
   where q.run_id = any (array[l.run_id])
     and q.job_no = l.job_no;
end;
$$;

comment on function wfg.mark_holding(wfg.job_ref[]) is
$$Write cancelled leases, locked already, that hold back what is queued now. Nothing changes, but an acknowledgement
with an older snapshot (repeatable read), which would not see what to let go, gets 40001. A lock alone would not do.$$;
