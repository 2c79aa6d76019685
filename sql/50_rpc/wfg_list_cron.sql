-- GET /api/cron
create or replace function public.wfg_list_cron()
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if not exists (select from pg_extension e where e.extname = 'pg_cron') then
    return json_build_object('items', '{}'::text[], 'next_cursor', null);
  end if;
  perform wfg.check_cron();

  perform 'PRAGMA:disable:check';   -- for `supabase db lint`, which looks where there is no pg_cron, too
  return (
    select json_build_object(
             'items', coalesce(
               json_agg(
                 json_build_object(
                   'name', o.name,
                   'schedule', o.schedule,
                   'command', o.command,
                   'active', o.active,
                   'last_run_at_ms', wfg.epoch_ms(d.start_time),
                   'last_status', d.status,
                   'last_message', d.return_message
                 )
                 order by o.name
               ),
               '[]'
             ),
             'next_cursor', null
           )
      from wfg.cron_jobs() o
      left join lateral (
             select r.start_time, r.status, r.return_message
               from cron.job_run_details r
              where r.jobid = o.jobid
                and r.runid > (select max(m.runid) - 200000 from cron.job_run_details m)   -- others may run for years
              order by r.runid desc
              limit 1
           ) d on true
  );
end;
$$;

comment on function public.wfg_list_cron() is
$$Our jobs of pg_cron, by name, and how they last ran: {"items":[{"name","schedule","command","active","last_run_at_ms",
"last_status","last_message"}],"next_cursor":null}. last_…: null before the first time. None without pg_cron.

last_status: of pg_cron: succeeded, failed, running, and steps before it. Errors: 409 cron_unavailable: the owner may
not use pg_cron.$$;
