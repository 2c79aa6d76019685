-- DELETE /api/cron
create or replace function public.wfg_unschedule_cron()
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_names text[];
begin
  if not exists (select from pg_extension e where e.extname = 'pg_cron') then
    return json_build_object('unscheduled', '{}'::text[]);
  end if;
  perform wfg.check_cron();

  perform pg_advisory_xact_lock(wfg.lock_class(), 4);

  v_names := array(select o.name from wfg.cron_jobs() o order by o.name);

  perform 'PRAGMA:disable:check';   -- for `supabase db lint`, which looks where there is no pg_cron, too
  -- Nobody would purge these any more.
  delete from cron.job_run_details d
   where d.jobid in (select o.jobid from wfg.cron_jobs() o);

  perform cron.unschedule(o.jobid)
     from wfg.cron_jobs() o;

  return json_build_object('unscheduled', v_names);
end;
$$;

comment on function public.wfg_unschedule_cron() is
$$Take back what wfg_schedule_cron did, with what pg_cron noted about it. Nobody else's jobs are touched. Without
pg_cron there is nothing to take back.

Answers {"unscheduled"}: the names of the jobs. Errors: 409 cron_unavailable: the owner may not use pg_cron.$$;
