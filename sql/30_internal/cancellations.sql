create or replace function wfg.cancellations(
  p_run_id  uuid,
  p_job_nos integer[]
)
  returns wfg.transition[]
  language plpgsql
  volatile
as $$
begin
  return (
    select array_agg(
             (
               null, 'cancelled', 'cancelled',
               j.run_id, j.job_no, s.version_id,
               s.is_wide, s.in_wide_run, s.narrow_children, s.wide_children,
               coalesce(q.attempt, 0), q.lost, s.lane_id, q.worker_id, q.leased_at, q.lease_nonce,
               null, null, null
             )::wfg.transition
             order by j.job_no
           )
      from wfg.jobs j
      join wfg.runs r on r.id = j.run_id
      join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no
      left join wfg.queue q on q.run_id = j.run_id and q.job_no = j.job_no
     where j.run_id = p_run_id
       and (p_job_nos is null or j.job_no = any (p_job_nos))
       and j.state = 'queued'
  );
end;
$$;

comment on function wfg.cancellations(uuid, integer[]) is
'The cancelling of those of these jobs (null: all of the run) that have not ended. Null when all have.';
