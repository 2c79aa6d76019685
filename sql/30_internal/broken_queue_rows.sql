create or replace function wfg.broken_queue_rows()
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    select b.invariant, format('queue row of run %s job %s', q.run_id, q.job_no), b.detail
      from wfg.queue q
      left join wfg.jobs j on j.run_id = q.run_id and j.job_no = q.job_no
      left join wfg.runs r on r.id = q.run_id
      left join wfg.job_specs s on s.version_id = r.version_id and s.job_no = q.job_no
     cross join lateral (
             values
               (
                 'a queue row is of an open job, or a cancelled lease of a cancelled one',
                 j.state is distinct from case when q.cancelled_at is null then 'queued' else 'cancelled' end,
                 coalesce(j.state, 'no such job')
               ),
               (
                 'a queue row has the version of its run, and the lane of its job unless it was put aside',
                 q.version_id is distinct from r.version_id or q.lane_id is distinct from s.lane_id and q.lane_id > 0,
                 format('version %s, lane %s', q.version_id, q.lane_id)
               ),
               (
                 'what was put aside waits, and its workflow is paused',
                 q.lane_id < 0 and (
                   q.lease_nonce is not null
                   or not exists (
                     select
                       from wfg.pauses p
                      where p.id = - q.lane_id
                        and p.namespace = r.namespace
                        and p.workflow_id = r.workflow_id
                   )
                 ),
                 format('lane %s', q.lane_id)
               ),
               (
                 'a lease has a worker, a start and an expiry, and what is not leased has none',
                 num_nulls(q.lease_nonce, q.worker_id, q.ttl_secs, q.leased_at, q.expires_at) not in (0, 5),
                 format('%s of 5 missing', num_nulls(q.lease_nonce, q.worker_id, q.ttl_secs, q.leased_at, q.expires_at))
               ),
               (
                 'a lease ends by its timeout',
                 q.expires_at > q.timeout_at
                   or (q.timeout_at is null) <> (s.timeout_secs is null or q.leased_at is null),
                 format('%s, %s', q.expires_at, q.timeout_at)
               ),
               (
                 'what is cancelled is a lease, of at most 60 seconds',
                 q.cancelled_at is not null
                   and (q.lease_nonce is null or q.expires_at > q.cancelled_at + interval '60 seconds'),
                 format('%s, %s', q.cancelled_at, q.expires_at)
               ),
               (
                 'a cancelled lease of the workflow door names its workflow and job, and nothing else does',
                 (q.cancelled_workflow_id, q.cancelled_job_id) is distinct from (
                   case when q.cancelled_at is not null and r.door = 'workflow' then r.workflow_id end,
                   case when q.cancelled_at is not null and r.door = 'workflow' then s.key end
                 ),
                 format('%s, %s', q.cancelled_workflow_id, q.cancelled_job_id)
               ),
               (
                 'what is held is of the workflow door, and not leased',
                 q.held_from is not null and (q.lease_nonce is not null or r.door <> 'workflow'),
                 q.held_from::text
               ),
               (
                 'lost leases are attempts, and within what the job allows',
                 q.lost > q.attempt or q.lost > s.lost_retries or q.attempt - q.lost > s.retries,
                 format('attempt %s, lost %s', q.attempt, q.lost)
               )
           ) b (invariant, is_broken, detail)
     where b.is_broken
    union all
    select 'a job of the workflow door is not ready while a cancelled lease of it lives',
           format('queue row of run %s job %s', q.run_id, q.job_no),
           format('ready at %s, lease until %s', q.ready_at, l.expires_at)
      from wfg.queue l
      join wfg.runs o on o.id = l.run_id
      join wfg.runs r on r.namespace = o.namespace
       and r.active_workflow_id = o.workflow_id
      join wfg.job_specs s on s.version_id = r.version_id and s.key = l.cancelled_job_id
      join wfg.queue q on q.run_id = r.id and q.job_no = s.job_no
     where l.cancelled_workflow_id is not null
       and l.run_id <> q.run_id
       and q.ready_at < l.expires_at
       and l.expires_at > wfg.now()
    union all
    select 'what is held is held by a cancelled lease', format('queue row of run %s job %s', q.run_id, q.job_no),
           format('held from %s to %s', q.held_from, q.ready_at)
      from wfg.queue q
      join wfg.runs r on r.id = q.run_id
      join wfg.job_specs s on s.version_id = r.version_id and s.job_no = q.job_no
     where q.held_from < q.ready_at
       and q.ready_at > wfg.now()
       and not exists (
             select
               from wfg.queue l
              where l.cancelled_workflow_id = r.workflow_id
                and l.cancelled_job_id = s.key
                and l.expires_at >= q.ready_at
           );
end;
$$;

comment on function wfg.broken_queue_rows() is 'The part of wfg_check about the queue: leases, cancelled
leases, what is held.';
