create or replace function wfg.read_cursor(
  p_cursor text,
  p_filter text
)
  returns wfg.job_ref
  language plpgsql
  immutable
as $$
declare
  v_hex text;
begin
  if p_cursor is null then
    return null;
  end if;

  if p_cursor ~ '^[A-Za-z0-9_-]{36}$' then
    v_hex := encode(decode(translate(p_cursor, '-_', '+/'), 'base64'), 'hex');
  end if;

  if v_hex is null or left(v_hex, 2) <> '01' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_cursor: is not a cursor of this list',
      hint    = 'Leave it out for the first page.';
  end if;

  if right(v_hex, 12) <> left(md5(p_filter), 12) then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_cursor: is a cursor of a list with other filters',
      hint    = 'Send the same filters with each page, or leave the cursor out for the first page.';
  end if;

  return (substr(v_hex, 3, 32)::uuid, ('x' || substr(v_hex, 35, 8))::bit(32)::integer, null)::wfg.job_ref;
end;
$$;

comment on function wfg.read_cursor(text, text) is
'Where the page before ended: what wfg.write_cursor was given. Null: there was none. Errors: 422 invalid_request.';
