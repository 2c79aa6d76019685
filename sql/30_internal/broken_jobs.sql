create or replace function wfg.broken_jobs(p_all boolean)
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    with chosen as (
      select j.*, s.version_id, s.parents, s.is_wide, r.rerun_of, wfg.is_kept(j.state, j.lease_nonce) as is_kept
        from wfg.runs r
        join wfg.jobs j on j.run_id = r.id
        left join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no
       where p_all
          or r.state = 'active'
    ),
    -- All edges in one join: a look at the parents job by job takes the square of the jobs.
    parents as (
      select c.run_id, c.job_no,
             count(*) filter (where p.state <> 'success') as parents_open,
             bool_or(p.state in ('failure', 'cancelled', 'skipped')) as parent_bad,
             bool_and(wfg.is_kept(p.state, p.lease_nonce)) as parents_kept
        from chosen c
       cross join lateral unnest(c.parents) n (job_no)
        join wfg.jobs p on p.run_id = c.run_id and p.job_no = n.job_no
       group by c.run_id, c.job_no
    ),
    slots as (
      select l.run_id, l.job_no, count(*) filter (where l.parents_left > 0) as open_slots
        from wfg.join_slots l
       group by l.run_id, l.job_no
    ),
    looked_at as (
      select c.*, c.version_id is not null as has_spec,
             q.run_id is not null as is_queued,
             q.cancelled_at is not null as is_cancelled_lease,
             coalesce(p.parents_open, 0) as parents_open,
             coalesce(p.parent_bad, false) as parent_bad,
             coalesce(p.parents_kept, true) as parents_kept,
             case when c.is_wide then coalesce(l.open_slots, 0) end as open_slots,
             o.run_id is not null as has_big_outputs, o.outputs as big_outputs
        from chosen c
        left join parents p on p.run_id = c.run_id and p.job_no = c.job_no
        left join slots l on l.run_id = c.run_id and l.job_no = c.job_no
        left join wfg.queue q on q.run_id = c.run_id and q.job_no = c.job_no
        left join wfg.outputs o on o.run_id = c.run_id and o.job_no = c.job_no
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
               ),
               (
                 'a success was reported, or is kept by a re-run with all that it needs',
                 l.is_kept and (l.rerun_of is null or not l.parents_kept),
                 format('re-run of %s', l.rerun_of)
               ),
               (
                 'a kept job is as in the run that is repeated',
                 l.is_kept and exists (select from wfg.runs r where r.id = l.rerun_of) and not exists (
                   select
                     from wfg.jobs b
                     left join wfg.outputs h on h.run_id = b.run_id and h.job_no = b.job_no
                    where b.run_id = l.rerun_of
                      and b.job_no = l.job_no
                      and b.state = 'success'
                      and (b.started_at, b.finished_at, b.attempt, b.worker_id)
                          = (l.started_at, l.finished_at, l.attempt, l.worker_id)
                      and coalesce(b.outputs, h.outputs, '{}') = coalesce(l.outputs, l.big_outputs, '{}')
                 ),
                 format('run %s', l.rerun_of)
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
