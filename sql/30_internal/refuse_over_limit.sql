create or replace function wfg.refuse_over_limit(
  p_field text,
  p_found bigint,
  p_unit  text,
  p_limit text
)
  returns void
  language plpgsql
  stable
as $$
declare
  v_most constant bigint := wfg.limit_of(p_limit);
begin
  if p_found > v_most then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format('%s: must be at most %s %s, found %s: limit %s', p_field, v_most, p_unit, p_found, p_limit),
      hint    = wfg.limit_hint(p_limit);
  end if;
end;
$$;

comment on function wfg.refuse_over_limit(text, bigint, text, text) is
$$Refuse what is over a limit, naming it: 422 invalid_request.

p_field: what is too large. p_found: how large. p_unit: of what.$$;
