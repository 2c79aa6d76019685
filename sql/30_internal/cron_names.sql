create or replace function wfg.cron_names()
  returns text[]
  language sql
  immutable
  parallel safe
as $$
  select array['wfg_reap', 'wfg_prune', 'wfg_purge_cron'];
$$;

comment on function wfg.cron_names() is
$$What our jobs of pg_cron are called. Where another database's are called so already, '_' and the name of this one
follow: a name is unique per user on the whole server.$$;
