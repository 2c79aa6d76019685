create or replace function wfg.cron_commands(
  p_suffix               text,
  p_older_than_secs      bigint,
  p_keep_per_workflow    integer,
  p_logs_older_than_secs bigint
)
  returns table (name text, schedule text, command text)
  language sql
  stable
as $$
  with version as (
    -- Where pg_cron is in another database of this server, that of its files has to do.
    select regexp_match(
             coalesce(
               (select e.extversion from pg_extension e where e.extname = 'pg_cron'),
               (select a.default_version from pg_available_extensions a where a.name = 'pg_cron')
             ),
             '^(\d{1,4})\.(\d{1,4})'
           )::int[] >= '{1,5}'::int[] as knows_seconds
  )
  select 'wfg_reap' || p_suffix,
         case when v.knows_seconds then '10 seconds' else '* * * * *' end,
         case when v.knows_seconds then 'select public.wfg_reap()' else 'select public.wfg_reap(10000)' end
    from version v
  union all
  -- A call deletes a bounded part: each minute of an hour of the night.
  select 'wfg_prune' || p_suffix,
         '* 3 * * *',
         format(
           'select public.wfg_prune(p_older_than_secs => %s, p_limit => 10000, p_keep_per_workflow => %s%s)',
           p_older_than_secs, p_keep_per_workflow, ', p_logs_older_than_secs => ' || p_logs_older_than_secs
         )
  union all
  -- By number: runs that a crash cut off have no end, some not even a beginning.
  select 'wfg_purge_cron' || p_suffix,
         '7 4 * * *',
         format(
           'delete from cron.job_run_details where jobid in (select jobid from cron.job where username in'
           ' (current_user, %L) and jobname in (%s)) and runid <= (select max(runid) from cron.job_run_details'
           ' where end_time < now() - interval ''7 days'')',
           current_user,
           (select string_agg(quote_literal(n.name || p_suffix), ', ') from unnest(wfg.cron_names()) n (name))
         );
$$;

comment on function wfg.cron_commands(text, bigint, integer, bigint) is
'What pg_cron is to do, and when. p_suffix: of the names. The other arguments are those of wfg_prune.';
