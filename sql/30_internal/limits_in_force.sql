create or replace function wfg.limits_in_force()
  returns jsonb
  language plpgsql
  stable
as $$
begin
  return (select jsonb_object_agg(k.name, wfg.limit_of(k.name)) from wfg.known_limits() k);
end;
$$;

comment on function wfg.limits_in_force() is 'All limits as they are now: an object of names and values.';
