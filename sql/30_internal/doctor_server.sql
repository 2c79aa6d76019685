create or replace function wfg.doctor_server(p_version integer)
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
declare
  -- Of what other roles do, a role without rights to see it is told whose it is, and no more.
  v_sessions    integer := (
    select count(*)
      from pg_catalog.pg_stat_activity a
     where coalesce(a.backend_type, 'client backend') = 'client backend'
       and a.usesysid is not null     -- so it is no autovacuum worker
       and a.datid is not null        -- nor a launcher
  );
  v_connections integer := current_setting('max_connections')::integer
    - current_setting('superuser_reserved_connections')::integer;
begin
  return query
    select 'postgres', 'error', format('Postgres %s is too old: 15 is the first that is supported.', p_version / 10000),
           'pg_upgrade, or a dump that is restored by a newer server'
     where p_version < 150000
    union all
    select 'postgres', 'error', 'This server only reads: it is a standby.', 'Give the address of the primary server.'
     where pg_is_in_recovery()
    union all
    select 'settings', s.severity, s.message, s.fix
      from (
             values
               (
                 'fsync', 'off', 'error', 'fsync is off: a crash may destroy the database.',
                 'alter system set fsync = on; select pg_reload_conf();'
               ),
               (
                 'full_page_writes', 'off', 'error', 'full_page_writes is off: a crash may destroy the database.',
                 'alter system set full_page_writes = on; select pg_reload_conf();'
               ),
               (
                 'synchronous_commit', 'off', 'warning',
                 'synchronous_commit is off: a crash may take back reports that were answered.',
                 format('alter database %I set synchronous_commit = on;', current_database())
               ),
               (
                 'default_transaction_read_only', 'on', 'error', 'Transactions only read, unless they say otherwise.',
                 format('alter database %I reset default_transaction_read_only;', current_database())
               )
           ) s (name, bad, severity, message, fix)
     where current_setting(s.name) = s.bad
    union all
    select 'settings', 'warning',
           format('Transactions are %s, unless they say otherwise: calls fail with 40001, to be repeated.', i.level),
           format('alter database %I set default_transaction_isolation = %L;', current_database(), 'read committed')
      from (select current_setting('default_transaction_isolation') as level) i
     where i.level in ('repeatable read', 'serializable')
    union all
    select 'connections', case when v_sessions >= v_connections * 0.95 then 'error' else 'warning' end,
           format('%s of %s connections are in use.', v_sessions, v_connections),
           format(
             'alter system set max_connections = %s;  -- and restart; or a pooler: docs/connections.md',
             2 * current_setting('max_connections')::integer
           )
     where v_sessions >= v_connections * 0.8
    union all
    select 'clock', 'error', format('The clock is set to %s, and stands still.', current_setting('wfg.fake_now', true)),
           coalesce(
             (
               select format(
                        'alter %s reset wfg.fake_now;',
                        case
                          when s.setrole = 0 then format('database %I', d.datname)
                          when s.setdatabase = 0 then format('role %I', pg_get_userbyid(s.setrole))
                          else format('role %I in database %I', pg_get_userbyid(s.setrole), d.datname)
                        end
                      )
                 from pg_catalog.pg_db_role_setting s
                 left join pg_catalog.pg_database d on d.oid = s.setdatabase
                cross join lateral unnest(s.setconfig) c (setting)
                where c.setting ^@ 'wfg.fake_now='
                  and (s.setdatabase = 0 or d.datname = current_database())
                limit 1
             ),
             'reset wfg.fake_now;'
           )
     where wfg.clock_is_set();
end;
$$;

comment on function wfg.doctor_server(integer) is
$$Of wfg_doctor: the server's version and settings, its connections, and the clock.

p_version: as server_version_num has it.$$;
