-- supabase/functions: asked before a function is called for somebody else
create or replace function public.wfg_authorize(
  p_function text,
  p_sha256   text default null,
  p_scope    text default null
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
  set jit = off
as $$
begin
  perform wfg.check_text('p_function', p_function, 200, false);

  if p_sha256 !~ '^[0-9a-f]{64}$' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_sha256: must be 64 hexadecimal digits, in lower case',
      hint    = 'The parameters are described in the comment of the function.';
  end if;

  if p_scope not in ('worker', 'operator', 'reader') or p_scope is not null and p_sha256 is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_scope: must be worker, operator or reader, and comes without p_sha256',
      hint    = 'The parameters are described in the comment of the function.';
  end if;

  -- Whoever asks is open to everybody: unlike a server's, its callers always need something.
  if p_sha256 is null and p_scope is null then
    raise sqlstate 'PT401' using
      message = 'token_missing',
      detail  = 'The request carries no token.',
      hint    = 'Send the header Authorization: Bearer TOKEN.';
  end if;

  if p_sha256 is not null then
    perform wfg.authorize(decode(p_sha256, 'hex'), p_function);
  elsif not wfg.scope_allows(p_scope, p_function) then
    raise sqlstate 'PT403' using
      message = 'scope_missing',
      detail  = format('The scope %s does not allow %s.', p_scope, p_function),
      hint    = 'Use a token of a scope that does.';
  end if;

  return json_build_object('function', p_function, 'allowed', true);
end;
$$;

comment on function public.wfg_authorize(text, text, text) is
$$Whether the caller of a door may call a function of this API: refused by an error, else {"function","allowed":true}.

For doors that cannot call wfg.authorize in the statement of the call, such as an edge function behind PostgREST; they
call the function afterwards by a right of their own.
p_function: such as wfg_claim_job. p_sha256: of the caller's token, whose text stays outside: 64 hexadecimal digits.
p_scope: worker, operator or reader, when the door knows its caller by other means, such as a role in a verified JWT.
Neither: 401, even while there is no token at all. A token's last use is noted.
Errors: 401 token_missing, token_invalid; 403 scope_missing; 422 invalid_request.$$;
