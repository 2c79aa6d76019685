create or replace function wfg.doctor_logs(
  p_now   timestamptz,
  p_bytes bigint
)
  returns table (about text, severity text, message text, fix text)
  language plpgsql
  stable
as $$
declare
  v_bytes  constant bigint := pg_total_relation_size('wfg.log_chunks');
  v_last   constant uuid := wfg.uuid_v7(p_now - interval '30 days');
  v_is_old          boolean;
begin
  if v_bytes > p_bytes then
    v_is_old := exists (select from wfg.log_chunks c where c.run_id < v_last);

    return query
      select 'logs', case when v_is_old then 'warning' else 'info' end,
             format(
               'Logs take %s of the %s of this database%s.',
               pg_size_pretty(v_bytes), pg_size_pretty(pg_database_size(current_database())),
               case when v_is_old then ', some of them of runs older than 30 days' else '' end
             ),
             'wfg prune --older-than 30d --logs-older-than 7d';
  end if;
end;
$$;

comment on function wfg.doctor_logs(timestamptz, bigint) is
'Of wfg_doctor: logs that take more than so many bytes; a warning when some are older than 30 days.';
