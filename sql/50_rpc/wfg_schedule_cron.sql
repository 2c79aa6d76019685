-- PUT /api/cron
create or replace function public.wfg_schedule_cron(
  p_older_than_secs      bigint default 2592000,
  p_keep_per_workflow    integer default 0,
  p_logs_older_than_secs bigint default null
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  perform wfg.check_range('p_older_than_secs', p_older_than_secs, 0, 3155760000);
  perform wfg.check_range('p_keep_per_workflow', p_keep_per_workflow, 0, 1000000);
  perform wfg.check_range('p_logs_older_than_secs', coalesce(p_logs_older_than_secs, 0), 0, 3155760000);
  perform wfg.check_cron(p_older_than_secs, p_keep_per_workflow, p_logs_older_than_secs);

  -- One at a time. Readers and jobs that run do not wait.
  perform pg_advisory_xact_lock(wfg.lock_class(), 4);

  perform 'PRAGMA:disable:check';   -- for `supabase db lint`, which looks where there is no pg_cron, too
  -- Scheduling a known name changes its schedule and command, and leaves it switched off.
  perform cron.unschedule(o.jobid)
     from wfg.cron_jobs() o
    where not o.active
       or not exists (
            select
              from wfg.cron_commands(
                     wfg.cron_suffix(), p_older_than_secs, p_keep_per_workflow, p_logs_older_than_secs
                   ) c
             where c.name = o.name
          );

  perform cron.schedule(c.name, c.schedule, c.command)
     from wfg.cron_commands(wfg.cron_suffix(), p_older_than_secs, p_keep_per_workflow, p_logs_older_than_secs) c;

  return public.wfg_list_cron();
end;
$$;

comment on function public.wfg_schedule_cron(bigint, integer, bigint) is
$$Let pg_cron do the upkeep: end leases that are over, every 10 seconds (before pg_cron 1.5 every minute); prune, in the
night; and purge what pg_cron notes about these jobs, after 7 days. They are the owner's jobs and replace what this
function scheduled before. Nobody else's jobs are touched.

p_older_than_secs, p_keep_per_workflow, p_logs_older_than_secs: those of wfg_prune. With 3155760000, a hundred years,
no run is ever deleted.
Answers what wfg_list_cron does. Errors: 409 cron_unavailable: pg_cron is not here, or not for the owner, and the hint
says what helps; 422 invalid_request.$$;
