-- GET /api/doctor
create or replace function public.wfg_doctor(p_revision text default null)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_now      constant timestamptz := wfg.now();
  v_revision constant text := wfg.schema_revision();
  v_postgres constant integer := current_setting('server_version_num')::integer;
begin
  return (
    with found as (
      select * from wfg.doctor_server(v_postgres)
      union all
      select * from wfg.doctor_holders(v_now)
      union all
      select * from wfg.doctor_grants()
      union all
      select * from wfg.doctor_functions()
      union all
      select * from wfg.doctor_tables(v_now)
      union all
      select * from wfg.doctor_work(v_now)
      union all
      select * from wfg.doctor_logs(v_now, 10737418240)
      union all
      select * from wfg.doctor_cron()
      union all
      select 'revision', 'error',
             format('The database is at revision %s, the package needs %s.', v_revision, p_revision), 'wfg db upgrade'
       where p_revision > v_revision
      union all
      select 'revision', 'warning',
             format('The database is at revision %s, the package is of %s.', v_revision, p_revision),
             'pip install --upgrade wfg'
       where p_revision < v_revision
    )
    select json_build_object(
             'status', case
               when bool_or(f.severity = 'error') then 'error'
               when bool_or(f.severity = 'warning') then 'warning'
               else 'ok'
             end,
             'findings', coalesce(
               json_agg(
                 json_build_object('check', f.about, 'severity', f.severity, 'message', f.message, 'fix', f.fix)
                 order by array_position(array['error', 'warning', 'info'], f.severity), f.about, f.message
               ),
               '[]'
             ),
             'revision', v_revision,
             'postgres', v_postgres,
             'now_ms', wfg.epoch_ms(v_now)
           )
      from found f
  );
end;
$$;

comment on function public.wfg_doctor(text) is
$$What is wrong with this database, and what helps: the state of its server, grants, functions, tables and work, in a
second at most, without the rights of a superuser. wfg_check finds broken rows instead.

p_revision: that of the package which asks; null: do not compare.
Answers {"status":"ok|warning|error","findings":[{"check","severity":"error|warning|info","message","fix"}],"revision",
"postgres","now_ms"}, the worst first; status is that of the worst but infos. fix: a command to paste, or ''.$$;
