create or replace function wfg.lock_leases_holding(p_run wfg.runs)
  returns void
  language plpgsql
  volatile
as $$
begin
  perform 1
     from wfg.job_specs s
     join wfg.queue q on q.cancelled_workflow_id = p_run.workflow_id and q.cancelled_job_id = s.key
    where s.version_id = p_run.version_id
      and s.parents = '{}'
    order by q.run_id, q.job_no
      for update of q;
end;
$$;

comment on function wfg.lock_leases_holding(wfg.runs) is
'Lock the cancelled leases that hold back the first jobs of a new run, so that an acknowledgement sees what it queues.';
