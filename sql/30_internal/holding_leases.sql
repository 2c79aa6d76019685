create or replace function wfg.holding_leases(p_moves wfg.transition[])
  returns wfg.job_ref[]
  language plpgsql
  volatile
as $$
begin
  return (
    select array_agg(distinct (q.run_id, q.job_no, false)::wfg.job_ref)
      from unnest(p_moves) m
      join wfg.runs r on r.id = m.run_id and r.door = 'workflow'
     cross join lateral unnest(m.narrow_children || m.wide_children) c (job_no)
      join wfg.job_specs s on s.version_id = m.version_id and s.job_no = c.job_no
      join wfg.queue q on q.cancelled_workflow_id = r.workflow_id and q.cancelled_job_id = s.key
     where m.move = 'success'
       and q.run_id <> m.run_id
  );
end;
$$;

comment on function wfg.holding_leases(wfg.transition[]) is
$$Cancelled leases of earlier runs of the workflow door, of jobs that these transitions may queue.

They are locked before the new row is queued: else an acknowledgement in between would miss it, and leave it held.$$;
