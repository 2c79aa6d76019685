create or replace function wfg.here(p_now timestamptz)
  returns wfg.homes
  language plpgsql
  volatile
as $$
begin
  return (
    select (1, c.system_identifier, d.oid, p_now)::wfg.homes
      from pg_catalog.pg_control_system() c
     cross join pg_catalog.pg_database d
     where d.datname = current_database()
  );
end;
$$;

comment on function wfg.here(timestamptz) is
'This database, as wfg.homes would have it.';
