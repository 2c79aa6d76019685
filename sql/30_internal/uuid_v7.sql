create or replace function wfg.uuid_v7(p_at timestamptz)
  returns uuid
  language plpgsql
  volatile
as $$
declare
  v_micros constant bigint := floor(extract(epoch from p_at) * 1000000);
begin
  -- A random version 4, whose first 48 bits become the millisecond, and the 12 after the version its fraction.
  return overlay(
    gen_random_uuid()::text placing
      substr(lpad(to_hex(v_micros / 1000), 12, '0'), 1, 8) || '-'
      || substr(lpad(to_hex(v_micros / 1000), 12, '0'), 9, 4) || '-7'
      || lpad(to_hex(v_micros % 1000 * 4096 / 1000), 3, '0')
    from 1 for 18
  )::uuid;
end;
$$;

comment on function wfg.uuid_v7(timestamptz) is
'A UUID version 7 (RFC 9562, method 3: the fraction of the millisecond in rand_a), so ids sort by time of creation.';
