create or replace function wfg.cron_suffix()
  returns text
  language sql
  stable
as $$
  select case when count(*) > 0 then '_' || current_database() else '' end
    from cron.job j
   where j.username = current_user::text
     and j.database <> current_database()
     and j.jobname::text = any (wfg.cron_names());
$$;

comment on function wfg.cron_suffix() is
$$What the names of our jobs of pg_cron end with. A name is unique per user: one of another database would be
overwritten, and stay that database's.$$;
