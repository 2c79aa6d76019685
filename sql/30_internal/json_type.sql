create or replace function wfg.json_type(p_value json)
  returns text
  language sql
  immutable
  parallel safe
as $$
  select case
    when json_typeof(p_value) = 'number' and p_value::text ~ '^-?[0-9]+$' then 'integer'
    else json_typeof(p_value)
  end;
$$;

comment on function wfg.json_type(json) is 'As json_typeof, but integer for a number without point and exponent.';
