create or replace function wfg.is_count(p_value jsonb)
  returns boolean
  language plpgsql
  immutable
as $$
begin
  if jsonb_typeof(p_value) is distinct from 'number' then
    return false;
  end if;

  -- 2^53 - 1: what every client's numbers can hold.
  return p_value::numeric between 0 and 9007199254740991
     and p_value::numeric = trunc(p_value::numeric);
end;
$$;

comment on function wfg.is_count(jsonb) is 'Whether a JSON value is a whole number from 0 to 2^53 - 1.';
