create or replace function wfg.check_range(
  p_field text,
  p_value bigint,
  p_min   bigint,
  p_max   bigint
)
  returns void
  language plpgsql
  immutable
as $$
begin
  if p_value is null or p_value not between p_min and p_max then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format('%s: must be from %s to %s, not %s', p_field, p_min, p_max, coalesce(p_value::text, 'null')),
      hint    = 'The parameters are described in the comment of the function.';
  end if;
end;
$$;

comment on function wfg.check_range(text, bigint, bigint, bigint) is
'Refuse a number that is missing or out of range: 422 invalid_request.';
