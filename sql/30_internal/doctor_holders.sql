create or replace function wfg.doctor_holders(p_now timestamptz)
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
declare
  v_wal_end pg_lsn;
begin
  if not pg_is_in_recovery() then
    v_wal_end := pg_current_wal_lsn();
  end if;

  return query
    (
      select 'transactions', case when a.xact_start < p_now - interval '1 hour' then 'error' else 'warning' end,
             format(
               'Session %s (%s, %s, %s) has a transaction open since %s: vacuum removes nothing that died since.',
               a.pid, a.usename, coalesce(nullif(a.application_name, ''), 'no name'), a.state,
               date_trunc('second', a.xact_start)
             ),
             format('select pg_terminate_backend(%s);', a.pid)
        from pg_catalog.pg_stat_activity a
       where a.datname = current_database()
         and a.pid <> pg_backend_pid()
         and coalesce(a.backend_type, 'client backend') = 'client backend'
         and (a.backend_xmin is not null or a.backend_xid is not null or a.state like 'idle in transaction%')
         and a.xact_start < p_now - interval '5 minutes'
       order by a.xact_start
       limit 10
    )
    union all
    select 'transactions', 'info',
           format('Not all is seen of %s sessions of other roles: neither how old their transactions are.', count(*)),
           format('grant pg_read_all_stats to %I;', current_user)
      from pg_catalog.pg_stat_activity a
     where a.datname = current_database()
       and not pg_has_role('pg_read_all_stats', 'usage')
       and not pg_has_role(a.usesysid, 'usage')
    having count(*) > 0
    union all
    (
      select 'prepared_transactions', case when x.prepared < p_now - interval '1 hour' then 'error' else 'warning' end,
             format(
               'The prepared transaction %L of %s has been there since %s: it holds its locks, and holds back vacuum.',
               x.gid, x.owner, date_trunc('second', x.prepared)
             ),
             format('rollback prepared %L;  -- or commit prepared, as its coordinator says', x.gid)
        from pg_catalog.pg_prepared_xacts x
       where x.database = current_database()
         and x.prepared < p_now - interval '5 minutes'
       order by x.prepared
       limit 10
    )
    union all
    select 'replication_slots', case when s.bytes > 10 * 1024 ^ 3 then 'error' else 'warning' end,
           format(
             'The replication slot %s %s, and holds back %s.', s.slot_name,
             case when s.active then 'is far behind' else 'is used by nobody' end,
             concat_ws(
               ' and ',
               pg_size_pretty(s.bytes) || ' of WAL',
               case when s.xmin is not null or s.catalog_xmin is not null then 'vacuum' end
             )
           ),
           format('select pg_drop_replication_slot(%L);  -- if nobody needs it any more', s.slot_name)
      from (
             select r.*, pg_wal_lsn_diff(v_wal_end, r.restart_lsn) as bytes
               from pg_catalog.pg_replication_slots r
           ) s
     where not s.active and (s.restart_lsn is not null or s.xmin is not null)
        or s.bytes > 10 * 1024 ^ 3;
end;
$$;

comment on function wfg.doctor_holders(timestamptz) is
'Of wfg_doctor: transactions and replication slots that hold back vacuum, or the removal of WAL.';
