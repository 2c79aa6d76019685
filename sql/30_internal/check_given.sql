create or replace function wfg.check_given(
  p_field text,
  p_value text
)
  returns void
  language plpgsql
  immutable
as $$
begin
  if p_value is null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format('%s: is missing', p_field),
      hint    = 'The parameters are described in the comment of the function.';
  end if;
end;
$$;

comment on function wfg.check_given(text, text) is 'Refuse an argument that is null: 422 invalid_request.';
