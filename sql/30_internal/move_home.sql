create or replace function wfg.move_home(p_now timestamptz)
  returns void
  language plpgsql
  volatile
as $$
begin
  insert into wfg.homes as o
  select h.* from wfg.here(p_now) h
      on conflict on constraint homes_pkey do update
     set system_identifier = excluded.system_identifier,
         database_oid      = excluded.database_oid,
         written_at        = excluded.written_at
   where (o.system_identifier, o.database_oid) is distinct from (excluded.system_identifier, excluded.database_oid);
end;
$$;

comment on function wfg.move_home(timestamptz) is 'Whatever was written before: this database is the one.';
