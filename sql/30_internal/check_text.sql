create or replace function wfg.check_text(
  p_field      text,
  p_value      text,
  p_max_length integer,
  p_optional   boolean
)
  returns void
  language plpgsql
  immutable
as $$
begin
  if p_value is null and p_optional then
    return;
  end if;

  if p_value is null or p_value = '' or length(p_value) > p_max_length then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format('%s: must be 1 to %s characters', p_field, p_max_length)
                || case when p_value is null then ', not null' else '' end,
      hint    = 'The parameters are described in the comment of the function.';
  end if;
end;
$$;

comment on function wfg.check_text(text, text, integer, boolean) is
'Refuse a text argument that is missing, empty or too long: 422 invalid_request.';
