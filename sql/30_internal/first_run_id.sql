create or replace function wfg.first_run_id(p_epoch_ms bigint)
  returns uuid
  language plpgsql
  immutable
as $$
begin
  return (overlay(lpad(to_hex(p_epoch_ms), 12, '0') placing '-' from 9 for 0) || '-7000-8000-000000000000')::uuid;
end;
$$;

comment on function wfg.first_run_id(bigint) is
'No run of this millisecond, or a later one, has a smaller id: a range of time is a range of keys.';
