create or replace function wfg.cron_jobs()
  returns table (jobid bigint, name text, schedule text, command text, active boolean)
  language sql
  stable
as $$
  select j.jobid, j.jobname::text, j.schedule, j.command, j.active
    from cron.job j
   where j.database = current_database()
     and j.username = current_user::text
     and j.jobname::text = any (
           select n.name || s.suffix
             from unnest(wfg.cron_names()) n (name),
                  (values (''), ('_' || current_database())) s (suffix)
         );
$$;

comment on function wfg.cron_jobs() is
'Our jobs of pg_cron: the owner''s, for this database, and named as ours are.';
