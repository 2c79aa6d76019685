create or replace function wfg.check_new_token(
  p_scope      text,
  p_sha256     text,
  p_expires_at timestamptz,
  p_now        timestamptz
)
  returns void
  language plpgsql
  immutable
as $$
declare
  v_problem constant text := case
    when p_scope is null or p_scope not in ('worker', 'operator', 'reader')
      then 'p_scope: must be worker, operator or reader'
    when p_sha256 is null or p_sha256 !~ '^[0-9a-f]{64}$'
      then 'p_sha256: must be 64 hexadecimal digits, in lower case'
    when p_expires_at <= p_now or p_expires_at = 'infinity'
      then 'p_expires_at: must be a finite time in the future'
  end;
begin
  if v_problem is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = v_problem,
      hint    = 'The parameters are described in the comment of the function.';
  end if;
end;
$$;

comment on function wfg.check_new_token(text, text, timestamptz, timestamptz) is
'Refuse what wfg_create_token cannot take: 422 invalid_request.';
