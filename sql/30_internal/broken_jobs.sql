create or replace function wfg.broken_jobs(p_all boolean)
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    with looked_at as (
      select j.*, s.parents, s.is_wide, s.job_no is not null as has_spec,
             q.run_id is not null as is_queued,
             q.cancelled_at is not null as is_cancelled_lease,
             (
               select count(*)
                 from unnest(s.parents) n (job_no)
                 join wfg.jobs p on p.run_id = j.run_id and p.job_no = n.job_no
                where p.state <> 'success'
             ) as parents_open,
             exists (
               select
                 from unnest(s.parents) n (job_no)
                 join wfg.jobs p on p.run_id = j.run_id and p.job_no = n.job_no
                where p.state in ('failure', 'cancelled', 'skipped')
             ) as parent_bad,
             case
               when s.is_wide then (
                 select count(*)
                   from wfg.join_slots l
                  where l.run_id = j.run_id
                    and l.job_no = j.job_no
                    and l.parents_left > 0
               )
             end as open_slots,
             exists (select from wfg.outputs o where o.run_id = j.run_id and o.job_no = j.job_no) as has_big_outputs
        from wfg.jobs j
        join wfg.runs r on r.id = j.run_id
        left join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no
        left join wfg.queue q on q.run_id = j.run_id and q.job_no = j.job_no
       where p_all
          or r.state = 'active'
    )
    select b.invariant, format('run %s job %s', l.run_id, l.job_no), b.detail
      from looked_at l
     cross join lateral (
             values
               ('a job has a spec', not l.has_spec, 'none'),
               (
                 'an open job is queued when all its parents have succeeded, and only then',
                 l.state = 'queued' and l.is_queued <> (l.parents_open = 0),
                 format('%s parents open', l.parents_open)
               ),
               (
                 'a job that has ended is not queued, but as a cancelled lease',
                 l.state <> 'queued' and l.is_queued and not (l.state = 'cancelled' and l.is_cancelled_lease),
                 l.state
               ),
               (
                 'an open job counts the parents that have not succeeded, or the slots that have any',
                 l.state = 'queued' and l.parents_left <> coalesce(l.open_slots, l.parents_open),
                 format('%s, not %s', l.parents_left, coalesce(l.open_slots, l.parents_open))
               ),
               (
                 'an open job has no parent that ended otherwise than in success',
                 l.state = 'queued' and l.parent_bad,
                 'it has'
               ),
               (
                 'a job is skipped for a parent that ended otherwise than in success',
                 l.state = 'skipped' and not l.parent_bad,
                 'it has none'
               ),
               (
                 'a job ran only after all its parents had succeeded',
                 l.state in ('success', 'failure') and l.parents_open > 0,
                 format('%s had not', l.parents_open)
               ),
               (
                 'a job has a finish when it has ended, and only then',
                 (l.state = 'queued') <> (l.finished_at is null),
                 l.state
               ),
               (
                 'a job that was reported knows its start and worker',
                 l.state in ('success', 'failure') and (l.started_at is null or l.worker_id is null),
                 l.state
               ),
               (
                 'only a failed job has an error',
                 l.error is not null and l.state <> 'failure',
                 l.state
               ),
               (
                 'only a successful job has outputs, and in one place',
                 (l.outputs is not null or l.has_big_outputs) and l.state <> 'success'
                   or l.outputs is not null and l.has_big_outputs,
                 l.state
               )
           ) b (invariant, is_broken, detail)
     where b.is_broken
    union all
    select 'a slot of a join counts the parents that have not succeeded',
           format('run %s job %s slot %s', l.run_id, l.job_no, l.slot),
           format('%s, not %s', l.parents_left, o.parents)
      from wfg.join_slots l
      join wfg.runs r on r.id = l.run_id
      join wfg.job_specs s on s.version_id = r.version_id and s.job_no = l.job_no
     cross join lateral (
             select count(*) as parents
               from unnest(s.parents) n (job_no)
               join wfg.jobs p on p.run_id = l.run_id and p.job_no = n.job_no
              where n.job_no % 16 = l.slot
                and p.state <> 'success'
           ) o
     where l.parents_left <> o.parents
       and exists (select from wfg.jobs j where j.run_id = l.run_id and j.job_no = l.job_no and j.state = 'queued')
    union all
    select 'an attempt is of a job, and before the one that ended it',
           format('run %s job %s attempt %s', a.run_id, a.job_no, a.attempt),
           coalesce(format('%s in attempt %s', j.state, j.attempt), 'no such job')
      from wfg.attempts a
      join wfg.runs r on r.id = a.run_id and (p_all or r.state = 'active')
      left join wfg.jobs j on j.run_id = a.run_id and j.job_no = a.job_no
     where j.run_id is null
        or j.state <> 'queued' and a.attempt > j.attempt
        or j.state in ('success', 'failure') and a.attempt = j.attempt
    union all
    select 'a job belongs to a run', format('run %s', j.run_id), format('%s jobs', count(*))
      from wfg.jobs j
     where p_all
       and not exists (select from wfg.runs r where r.id = j.run_id)
     group by j.run_id;
end;
$$;

comment on function wfg.broken_jobs(boolean) is 'The part of wfg_check about jobs, their counters, outputs and
attempts.';
