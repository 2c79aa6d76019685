create or replace function wfg.doctor_grants()
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
begin
  return query
    with known as (
      select k.name
        from (values ('wfg_worker'), ('wfg_operator'), ('wfg_reader'), ('wfg_server')) k (name)
    ),
    -- What each of them may, and what nobody else may.
    wanted as (
      select p.oid, r.name
        from pg_catalog.pg_proc p
       cross join lateral unnest(wfg.roles_of(p.proname, p.provolatile)) r (name)
       where p.pronamespace = 'public'::regnamespace
         and p.proname ^@ 'wfg_'
         and p.prokind = 'f'
       union all
      select 'wfg.authorize'::regproc::oid, 'wfg_server'
    ),
    found as (
      select p.oid, p.oid::regprocedure::text as function, p.pronamespace = 'wfg'::regnamespace as is_internal,
             a.grantee, coalesce(g.rolname, 'public') as name
        from pg_catalog.pg_proc p
       cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        left join pg_catalog.pg_roles g on g.oid = a.grantee
       where a.privilege_type = 'EXECUTE'
         and a.grantee <> p.proowner
         and (
               p.pronamespace = 'wfg'::regnamespace
               or p.pronamespace = 'public'::regnamespace and p.proname ^@ 'wfg_'
             )
    )
    select 'grants', 'error',
           format('The role %s is not there: whoever was to be a member of it can do nothing.', k.name),
           format('create role %I nologin;  -- then run the grants again: psql -f sql/80_grants.sql', k.name)
      from known k
     where not exists (select from pg_catalog.pg_roles r where r.rolname = k.name)
    union all
    select 'grants', 'error', format('%s cannot execute %s, which it needs.', w.name, w.oid::regprocedure),
           format('grant execute on function %s to %I;', w.oid::regprocedure, w.name)
      from wanted w
      join pg_catalog.pg_roles r on r.rolname = w.name
     where not has_function_privilege(r.oid, w.oid, 'execute')
    union all
    select 'grants',
           case when f.name in ('public', 'anon', 'authenticated') or f.is_internal then 'error' else 'warning' end,
           format(
             '%s can execute %s, which is %s.',
             case f.grantee when 0 then 'Everybody' else f.name end, f.function,
             case when f.is_internal then 'internal' else 'not for that role' end
           ),
           format(
             'revoke execute on function %s from %s;',
             f.function, case f.grantee when 0 then 'public' else quote_ident(f.name) end
           )
      from found f
     where not exists (
             select
               from wanted w
              where w.oid = f.oid
                and (w.name = f.name or f.name = 'service_role' and w.name = 'wfg_operator')
           )
    union all
    select 'grants', 'error',
           format(
             '%s has rights to %s: only functions may touch it.',
             coalesce(g.rolname, 'Everybody'), c.oid::regclass
           ),
           format('revoke all on %s from %s;', c.oid::regclass, coalesce(quote_ident(g.rolname), 'public'))
      from pg_catalog.pg_class c
     cross join lateral (
             select distinct a.grantee
               from aclexplode(c.relacl) a
              where a.grantee <> c.relowner
           ) a
      left join pg_catalog.pg_roles g on g.oid = a.grantee
     where c.relnamespace = 'wfg'::regnamespace
       and c.relkind in ('r', 'S', 'v')
    union all
    select 'grants', 'error', format('%s may not use the schema %s, which it needs.', k.name, s.name),
           format('grant usage on schema %I to %I;', s.name, k.name)
      from known k
      join pg_catalog.pg_roles r on r.rolname = k.name
     cross join (values ('public'), ('wfg')) s (name)
     where (s.name = 'public' or k.name = 'wfg_server')
       and not has_schema_privilege(r.oid, s.name, 'usage')
    union all
    -- A function of the same name that takes text is preferred to ours, and runs as whoever calls it.
    select 'grants', 'error',
           format(
             '%s may create in the schema %s, and so put a function before one of ours.',
             case a.grantee when 0 then 'Everybody' else pg_get_userbyid(a.grantee) end, n.nspname
           ),
           format(
             'revoke create on schema %I from %s;',
             n.nspname, case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
           )
      from pg_catalog.pg_namespace n
     cross join lateral aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
     where n.nspname in ('public', 'wfg')
       and a.privilege_type = 'CREATE'
       and (
             a.grantee = 0
             or pg_get_userbyid(a.grantee) in (
                  'wfg_worker', 'wfg_operator', 'wfg_reader', 'wfg_server', 'anon', 'authenticated'
                )
           );
end;
$$;

comment on function wfg.doctor_grants() is
'Of wfg_doctor: who may call what, as sql/80_grants.sql says it. An owner who is a member of a role keeps its rights.';
