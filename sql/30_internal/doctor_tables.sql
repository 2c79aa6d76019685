create or replace function wfg.doctor_tables(p_now timestamptz)
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
begin
  return query
    select 'indexes', 'error', format('The index %s is missing.', e.name), e.fix
      from wfg.expected_indexes() e
     where not exists (
             select
               from pg_catalog.pg_class c
              where c.relnamespace = 'wfg'::regnamespace
                and c.relname = e.name
                and c.relkind = 'i'
           )
    union all
    select 'indexes', 'error',
           format('The index %s is invalid: it is kept up, and not used.', i.indexrelid::regclass),
           format('reindex index %s;', i.indexrelid::regclass)
      from pg_catalog.pg_index i
      join pg_catalog.pg_class c on c.oid = i.indrelid
     where c.relnamespace = 'wfg'::regnamespace
       and not (i.indisvalid and i.indisready and i.indislive)
    union all
    select 'autovacuum', 'warning',
           format('The table wfg.%s has lost its settings: %s.', e.name, array_to_string(l.options, ', ')),
           format('alter table wfg.%I set (%s);', e.name, array_to_string(l.options, ', '))
      from wfg.expected_options() e
      join pg_catalog.pg_class c on c.relnamespace = 'wfg'::regnamespace and c.relname = e.name
     cross join lateral (
             select array_agg(o.option) as options
               from unnest(e.options) o (option)
              where o.option <> all (coalesce(c.reloptions, '{}'))
           ) l
     where l.options is not null
    union all
    select 'autovacuum', 'error',
           format('Autovacuum is switched off for %s, which will grow for ever.', c.oid::regclass),
           format('alter table %s reset (autovacuum_enabled);', c.oid::regclass)
      from pg_catalog.pg_class c
     cross join lateral unnest(c.reloptions) o (option)
     where c.relnamespace = 'wfg'::regnamespace
       and o.option in ('autovacuum_enabled=false', 'autovacuum_enabled=off')
    union all
    select 'autovacuum', 'error', format('%s is off: tables grow for ever.', s.name),
           format('alter system set %s = on; select pg_reload_conf();', s.name)
      from (values ('autovacuum'), ('track_counts')) s (name)
     where current_setting(s.name) = 'off'
    union all
    select 'dead_rows', 'warning',
           format(
             '%s has %s dead rows and %s living ones, and %s.',
             s.relid::regclass, s.n_dead_tup, s.n_live_tup,
             coalesce('its last vacuum was at ' || date_trunc('second', v.at), 'was never vacuumed')
           ),
           format('vacuum (analyze) %s;  -- in vain? then see transactions', s.relid::regclass)
      from pg_catalog.pg_stat_all_tables s
     cross join lateral (select greatest(s.last_vacuum, s.last_autovacuum) as at) v
     where s.schemaname = 'wfg'
       and s.n_dead_tup > greatest(200000, s.n_live_tup / 2)
       and coalesce(v.at, '-infinity') < p_now - interval '15 minutes';
end;
$$;

comment on function wfg.doctor_tables(timestamptz) is
'Of wfg_doctor: indexes missing or invalid, settings of tables that were lost, dead rows that no vacuum takes away.';
