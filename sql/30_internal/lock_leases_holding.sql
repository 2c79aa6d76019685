create or replace function wfg.lock_leases_holding(
  p_workflow_id text,
  p_version_id  bigint
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_refs wfg.job_ref[];
begin
  v_refs := array(
    select (q.run_id, q.job_no, false)::wfg.job_ref
      from wfg.job_specs s
      join wfg.queue q on q.cancelled_workflow_id = p_workflow_id and q.cancelled_job_id = s.key
     where s.version_id = p_version_id
       and s.parents = '{}'
     order by (q.run_id, q.job_no)
       for update of q
  );

  perform wfg.mark_holding(v_refs);
end;
$$;

comment on function wfg.lock_leases_holding(text, bigint) is
'Lock the cancelled leases that hold back the first jobs of a new run, so that an acknowledgement sees what it queues.';
