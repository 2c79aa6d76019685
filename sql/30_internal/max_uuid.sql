create or replace function wfg.max_uuid()
  returns uuid
  language plpgsql
  immutable
as $$
begin
  return 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid;
end;
$$;

comment on function wfg.max_uuid() is 'Greater than every run id.';
