create or replace function wfg.end_cancelled_leases(p_refs wfg.job_ref[])
  returns void
  language plpgsql
  volatile
as $$
begin
  perform wfg.let_go(p_refs);

  delete from wfg.queue q
   using unnest(p_refs) c
   where q.run_id = c.run_id
     and q.job_no = c.job_no;
end;
$$;

comment on function wfg.end_cancelled_leases(wfg.job_ref[]) is
'Delete cancelled leases, whose rows are locked, after letting go of what they hold back.';
