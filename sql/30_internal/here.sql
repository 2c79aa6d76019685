create or replace function wfg.here(p_now timestamptz)
  returns wfg.homes
  language plpgsql
  volatile
as $$
begin
  -- Where a provider keeps that function to itself, the oid must do.
  return (
    select (
             1,
             case
               when has_function_privilege('pg_catalog.pg_control_system()', 'execute') then
                 (select c.system_identifier from pg_catalog.pg_control_system() c)
               else 0
             end,
             d.oid,
             p_now
           )::wfg.homes
      from pg_catalog.pg_database d
     where d.datname = current_database()
  );
end;
$$;

comment on function wfg.here(timestamptz) is
'This database, as wfg.homes would have it.';
