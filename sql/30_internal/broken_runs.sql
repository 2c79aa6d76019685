create or replace function wfg.broken_runs(p_all boolean)
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    with counted as (
      select r.*, v.job_count,
             (select count(*) from wfg.jobs j where j.run_id = r.id) as jobs,
             (select count(*) from wfg.jobs j where j.run_id = r.id and j.state = 'queued') as open_jobs,
             (
               select count(*)
                 from wfg.jobs j
                where j.run_id = r.id
                  and j.state in ('failure', 'cancelled')
             ) as bad_jobs,
             (
               select count(*)
                 from wfg.jobs j
                where j.run_id = r.id
                  and wfg.is_kept(j.state, j.lease_nonce)
             ) as kept_jobs,
             (select count(*) from wfg.run_slots s where s.run_id = r.id) as slots,
             (select count(*) from wfg.run_slots s where s.run_id = r.id and s.open_left > 0) as open_slots
        from wfg.runs r
        join wfg.workflow_versions v on v.id = r.version_id
       where p_all
          or r.state = 'active'
    )
    select b.invariant, 'run ' || c.id, b.detail
      from counted c
     cross join lateral (
             values
               (
                 'a run has the jobs of its version',
                 c.jobs <> c.job_count,
                 format('%s of %s', c.jobs, c.job_count)
               ),
               (
                 'a run is active while a job of it is open, and no longer',
                 (c.state = 'active') <> (c.open_jobs > 0),
                 format('%s with %s open jobs', c.state, c.open_jobs)
               ),
               (
                 'a run has a finish when it has ended, and only then',
                 (c.finished_at is null) <> (c.state = 'active') or (c.open_left > 0) <> (c.state = 'active'),
                 format('%s, finished at %s, %s open', c.state, c.finished_at, c.open_left)
               ),
               (
                 'a run is started at one of the two doors, and holds that of the workflow while it is active',
                 c.door not in ('workflow', 'run')
                   or c.active_workflow_id is distinct from
                      case when c.door = 'workflow' and c.state = 'active' then c.workflow_id end,
                 format('door %s, holds %s', c.door, c.active_workflow_id)
               ),
               (
                 'a workflow names the latest run of its door, which has the greatest id',
                 c.door = 'workflow' and not exists (
                   select
                     from wfg.workflows w
                    where w.namespace = c.namespace
                      and w.id = c.workflow_id
                      and w.latest_run_id >= c.id
                 ),
                 c.workflow_id
               ),
               (
                 'a run with an idempotency key has the hash of its request',
                 (c.request_hash is null) <> (c.idempotency_key is null),
                 c.idempotency_key
               ),
               (
                 'a run that failed has a failed or cancelled job, and one that succeeded has none',
                 (c.state = 'success' and c.bad_jobs > 0) or (c.state = 'failure' and c.bad_jobs = 0),
                 format('%s with %s', c.state, c.bad_jobs)
               ),
               (
                 'a run counts its open jobs, or the slots that have any',
                 c.state = 'active'
                   and c.open_left <> case when wfg.is_wide(c.job_count) then c.open_slots else c.open_jobs end,
                 format('%s, not %s jobs in %s slots', c.open_left, c.open_jobs, c.open_slots)
               ),
               (
                 'an active wide run has 16 slots, and no other run has any',
                 c.slots <> case when c.state = 'active' and wfg.is_wide(c.job_count) then 16 else 0 end,
                 format('%s slots', c.slots)
               ),
               (
                 'a re-run is of the other door, and repeats a run that has ended: its version and inputs',
                 c.rerun_of is not null and (
                   c.door <> 'run'
                     or exists (
                          select
                            from wfg.runs b
                           where b.id = c.rerun_of
                             and (b.state = 'active' or b.version_id <> c.version_id or b.inputs <> c.inputs)
                        )
                 ),
                 format('door %s, run %s', c.door, c.rerun_of)
               ),
               (
                 'a re-run does not keep all jobs',
                 c.kept_jobs > 0 and c.kept_jobs = c.jobs,
                 format('%s kept', c.kept_jobs)
               )
           ) b (invariant, is_broken, detail)
     where b.is_broken
    union all
    select 'a slot of a run counts its open jobs', format('run %s slot %s', s.run_id, s.slot),
           format('%s, not %s', s.open_left, o.jobs)
      from wfg.run_slots s
     cross join lateral (
             select count(*) as jobs
               from wfg.jobs j
              where j.run_id = s.run_id
                and j.job_no % 16 = s.slot
                and j.state = 'queued'
           ) o
     where s.open_left <> o.jobs
    union all
    select 'a slot belongs to a run', format('run %s', s.run_id), 'no such run'
      from (select run_id from wfg.run_slots union select run_id from wfg.join_slots) s
     where not exists (select from wfg.runs r where r.id = s.run_id);
end;
$$;

comment on function wfg.broken_runs(boolean) is 'The part of wfg_check about runs and their counters.';
