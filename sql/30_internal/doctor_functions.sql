create or replace function wfg.doctor_functions()
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
begin
  return query
    select 'functions', 'error', format('%s %s', p.name, b.message), b.fix
      from (
             select f.*, f.oid::regprocedure::text as name
               from pg_catalog.pg_proc f
              where f.pronamespace = 'public'::regnamespace and f.proname ^@ 'wfg_' and f.prokind = 'f'
                 or f.oid = 'wfg.authorize'::regproc
           ) p
     cross join lateral (
             values
               (
                 not p.prosecdef,
                 'does not run as its owner: nobody else can use it.',
                 format('alter function %s security definer;', p.name)
               ),
               (
                 not coalesce(p.proconfig, '{}') @> array['search_path=pg_catalog, pg_temp'],
                 'searches the schemas of its caller, who can make it run functions of his own as the owner.',
                 format('alter function %s set search_path = pg_catalog, pg_temp;', p.name)
               ),
               (
                 p.proowner <> (select n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'wfg'),
                 'is not owned by the owner of the schema wfg, as whom it must run.',
                 format(
                   'alter function %s owner to %I;',
                   p.name,
                   (select pg_get_userbyid(n.nspowner) from pg_catalog.pg_namespace n where n.nspname = 'wfg')
                 )
               )
           ) b (is_broken, message, fix)
     where b.is_broken
    union all
    select 'triggers', 'error', format('The trigger %s of %s is switched off.', t.tgname, t.tgrelid::regclass),
           format('alter table %s enable trigger %I;', t.tgrelid::regclass, t.tgname)
      from pg_catalog.pg_trigger t
      join pg_catalog.pg_class c on c.oid = t.tgrelid
     where c.relnamespace = 'wfg'::regnamespace
       and t.tgenabled = 'D'
    union all
    select 'triggers', 'error', format('The guard of %s is gone: a state that is final could change.', g.name),
           format(
             'create trigger _100_guard_move before update on wfg.%1$I for each row when (old.state <> %2$L)'
             || ' execute function wfg.tg_%1$s__guard_move();',
             g.name, g.state
           )
      from (values ('jobs', 'queued'), ('runs', 'active')) g (name, state)
     where not exists (
             select
               from pg_catalog.pg_trigger t
              where t.tgrelid = ('wfg.' || g.name)::regclass
                and t.tgname = '_100_guard_move'
           );
end;
$$;

comment on function wfg.doctor_functions() is
'Of wfg_doctor: functions of the API that somebody changed, and triggers that are gone or switched off.';
