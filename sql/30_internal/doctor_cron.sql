create or replace function wfg.doctor_cron()
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
begin
  -- Not by to_regclass: it refuses to look into a schema that one may not use.
  if not exists (
    select
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'cron'
       and c.relname = 'job_run_details'
  ) then
    return query
      select 'cron', 'info', 'pg_cron is not in this database: claims do the upkeep, and wfg serve or wfg reaper.', '';

    return;
  end if;

  if not has_schema_privilege('cron', 'usage')
     or not has_table_privilege('cron.job', 'select')
     or not has_table_privilege('cron.job_run_details', 'select')
  then
    return query
      select 'cron', 'info', 'What pg_cron does cannot be seen.',
             format(
               'grant usage on schema cron to %1$I; grant select on cron.job, cron.job_run_details to %1$I;',
               current_user
             );

    return;
  end if;

  perform 'PRAGMA:disable:check';   -- for `supabase db lint`, which looks where there is no pg_cron, too
  return query
    with ours as (
      select j.jobid, j.jobname, j.active, d.status, d.return_message, d.start_time,
             -- As often as it is to run, and some patience.
             case
               when j.schedule ~ 'second' or j.schedule = '* * * * *' then interval '10 minutes'
               else interval '25 hours'
             end as patience
        from cron.job j
        left join lateral (
               select r.status, r.return_message, r.start_time
                 from cron.job_run_details r
                where r.jobid = j.jobid
                  and r.runid > (select max(m.runid) - 200000 from cron.job_run_details m)
                order by r.runid desc
                limit 1
             ) d on true
       where j.database = current_database()
         and j.command ~ '\mwfg_'
    )
    select 'cron', 'info', 'pg_cron is here, but no job of it calls wfg: claims do the upkeep, and wfg serve.',
           'select public.wfg_schedule_cron();'
     where not exists (select from ours)
    union all
    select 'cron', 'warning', format('The job %s of pg_cron is switched off.', coalesce(o.jobname, o.jobid::text)),
           format('select cron.alter_job(%s, active := true);', o.jobid)
      from ours o
     where not o.active
    union all
    select 'cron', 'warning',
           format('The job %s of pg_cron failed: %s', coalesce(o.jobname, o.jobid::text), left(o.return_message, 500)),
           format('select * from cron.job_run_details where jobid = %s order by runid desc limit 5;', o.jobid)
      from ours o
     where o.active
       and o.status = 'failed'
    union all
    select 'cron', 'warning',
           format(
             'The job %s of pg_cron last ran at %s.',
             coalesce(o.jobname, o.jobid::text), coalesce(date_trunc('second', o.start_time)::text, 'no time')
           ),
           'select * from pg_stat_activity where backend_type = ''pg_cron launcher'';  -- none: restart the server'
      from ours o
     where o.active
       and case
             when o.start_time is not null then o.start_time < wfg.now() - o.patience
             -- A nightly job was perhaps scheduled today: pg_cron is alive if it runs another one.
             else not exists (select from ours n where n.start_time >= wfg.now() - n.patience)
           end
       and not exists (select from pg_settings s where s.name = 'cron.log_run' and s.setting = 'off');
end;
$$;

comment on function wfg.doctor_cron() is
'Of wfg_doctor: whether pg_cron, where it is installed, does what it is asked to.';
