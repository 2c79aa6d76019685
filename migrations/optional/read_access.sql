-- Optional, by `wfg db export --with read_access`: signed-in users of Supabase read the runs that they started, their
-- jobs and logs, through three views. The engine is not asked: it runs as the owner, for whom row security is not.
--
-- Whose a run is: started_by. Your server says it, never the browser: wfg_start_run(…, p_started_by => <user's id>).
-- Another rule is another policy on wfg.runs; the other tables follow it.
--
-- To take it away (also before `wfg db downgrade`):
--   drop view public.wfg_my_logs, public.wfg_my_jobs, public.wfg_my_runs;
--   drop policy … on each of the five tables below, and revoke usage on schema wfg from authenticated;

-- Costs a start about as much as any index does, where started_by is given.
create index runs_by_starter on wfg.runs (started_by, id) where started_by is not null;

alter table wfg.runs enable row level security;
alter table wfg.jobs enable row level security;
alter table wfg.queue enable row level security;
alter table wfg.job_specs enable row level security;
alter table wfg.log_chunks enable row level security;

create policy users_read_their_runs on wfg.runs for select to authenticated
  using (started_by = (select auth.uid())::text);

-- A run that the user may not see is not found by these either.
create policy users_read_jobs_of_their_runs on wfg.jobs for select to authenticated
  using (exists (select from wfg.runs r where r.id = jobs.run_id));
create policy users_read_queue_of_their_runs on wfg.queue for select to authenticated
  using (exists (select from wfg.runs r where r.id = queue.run_id));
create policy users_read_logs_of_their_runs on wfg.log_chunks for select to authenticated
  using (exists (select from wfg.runs r where r.id = log_chunks.run_id));
-- Names of jobs only (see the grants), and PostgREST does not expose schema wfg: the views are the way there.
create policy users_read_names_of_jobs on wfg.job_specs for select to authenticated
  using (true);

-- Columns, not tables: no lease, no token, no script, no inputs.
grant usage on schema wfg to authenticated;
grant select (id, version_id, workflow_id, created_at, start_at, finished_at, state, started_by, reason)
  on wfg.runs to authenticated;
grant select (run_id, job_no, state, attempt, started_at, finished_at, error) on wfg.jobs to authenticated;
grant select (run_id, job_no, attempt, leased_at, cancelled_at) on wfg.queue to authenticated;
grant select (version_id, job_no, display_no, key, name) on wfg.job_specs to authenticated;
grant select (run_id, job_no, attempt, sequence, timestamp_ms, stream, data) on wfg.log_chunks to authenticated;

create view public.wfg_my_runs with (security_invoker = true) as
select r.id as run_id,
       r.workflow_id,
       case r.state when 'active' then 'running' else r.state end as state,
       r.created_at,
       r.start_at,
       r.finished_at,
       r.started_by,
       r.reason
  from wfg.runs r;

create view public.wfg_my_jobs with (security_invoker = true) as
select j.run_id,
       s.key as job_id,
       s.name,
       s.display_no,
       case when j.state = 'queued' and q.leased_at is not null then 'running' else j.state end as state,
       coalesce(q.attempt, j.attempt) as attempt,
       coalesce(j.started_at, q.leased_at) as started_at,
       j.finished_at,
       j.error
  from wfg.jobs j
  join wfg.runs r on r.id = j.run_id
  join wfg.job_specs s on s.version_id = r.version_id and s.job_no = j.job_no
  left join wfg.queue q on q.run_id = j.run_id and q.job_no = j.job_no and q.cancelled_at is null;

create view public.wfg_my_logs with (security_invoker = true) as
select c.run_id,
       s.key as job_id,
       c.attempt,
       c.sequence,
       c.timestamp_ms,
       c.stream,
       c.data
  from wfg.log_chunks c
  join wfg.runs r on r.id = c.run_id
  join wfg.job_specs s on s.version_id = r.version_id and s.job_no = c.job_no;

comment on view public.wfg_my_runs is 'The runs that the signed-in user started. A run that waits for its first worker reads running.';
comment on view public.wfg_my_jobs is 'The jobs of the runs that the signed-in user started.';
comment on view public.wfg_my_logs is 'What those jobs printed: order by attempt, sequence.';

-- Supabase grants every new view of schema public to everybody.
revoke all on public.wfg_my_runs, public.wfg_my_jobs, public.wfg_my_logs from public, anon, authenticated;
grant select on public.wfg_my_runs, public.wfg_my_jobs, public.wfg_my_logs to authenticated;
