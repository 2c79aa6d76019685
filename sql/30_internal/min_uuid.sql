create or replace function wfg.min_uuid()
  returns uuid
  language plpgsql
  immutable
as $$
begin
  return '00000000-0000-0000-0000-000000000000'::uuid;
end;
$$;

comment on function wfg.min_uuid() is 'Less than every run id.';
