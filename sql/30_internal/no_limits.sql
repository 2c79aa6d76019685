create or replace function wfg.no_limits()
  returns jsonb
  language plpgsql
  immutable
as $$
begin
  return (select jsonb_object_agg(k.name, 1000000000) from wfg.known_limits() k);
end;
$$;

comment on function wfg.no_limits() is 'As wfg.limits_in_force(), for what is stored already: none that it could meet.';
