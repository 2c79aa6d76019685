create or replace function wfg.check_cron(
  p_older_than_secs      bigint default 2592000,
  p_keep_per_workflow    integer default 0,
  p_logs_older_than_secs bigint default null
)
  returns void
  language plpgsql
  stable
as $$
declare
  v_settings constant text := format(
    'shared_preload_libraries = ''pg_cron'' and cron.database_name = %L into postgresql.conf and restart the server',
    current_database()
  );
  v_database  text;
  v_preloaded boolean;
begin
  if exists (select from pg_extension e where e.extname = 'pg_cron') then
    if not has_schema_privilege('cron', 'usage') then
      raise sqlstate 'PT409' using
        message = 'cron_unavailable',
        detail  = format('%s, the owner of wfg, may not use pg_cron.', current_user),
        hint    = format('As a superuser: grant usage on schema cron to %I;', current_user);
    end if;

    return;
  end if;

  -- This view leaves out what the owner may not see; it has nothing when pg_cron is not loaded.
  select max(s.setting) filter (where s.name = 'cron.database_name'),
         bool_or(s.name like 'cron.%')
    into v_database, v_preloaded
    from pg_settings s
   where s.name like 'cron.%';

  if v_database <> current_database() then
    raise sqlstate 'PT409' using
      message = 'cron_unavailable',
      detail  = format('pg_cron of this server is at home in the database %s.', v_database),
      hint    = 'There, as a superuser: create extension if not exists pg_cron; ' || (
        -- The purge reads what only the home of pg_cron has.
        select string_agg(
                 format('select cron.schedule_in_database(%L, %L, %L, ', c.name, c.schedule, c.command)
                 || case
                      when c.command like 'delete%' then format('%L);', v_database)
                      else format('%L, %L);', current_database(), current_user)
                    end,
                 ' '
               )
          from wfg.cron_commands(
                 '_' || current_database(), p_older_than_secs, p_keep_per_workflow, p_logs_older_than_secs
               ) c
      );
  end if;

  raise sqlstate 'PT409' using
    message = 'cron_unavailable',
    detail  = 'The extension pg_cron is not in this database.',
    hint    = case
      when not exists (select from pg_available_extensions a where a.name = 'pg_cron')
        then format('Install pg_cron, put %s, and, as a superuser: create extension pg_cron;', v_settings)
      when v_preloaded then 'As a superuser: create extension pg_cron;'
      else format('As a superuser: create extension pg_cron; If that is refused, first put %s.', v_settings)
    end;
end;
$$;

comment on function wfg.check_cron(bigint, integer, bigint) is
$$Refuse when the owner cannot use pg_cron here: 409 cron_unavailable, and what helps. Where pg_cron is at home in
another database of the server, that is what to call there; the arguments are those of wfg.cron_commands.$$;
