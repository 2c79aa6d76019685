create or replace function wfg.authorize(
  p_sha256   bytea,
  p_function text,
  p_vouched  boolean default false
)
  returns boolean
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
  set jit = off
as $$
declare
  v_now     constant timestamptz := wfg.now();
  v_token   wfg.tokens;
  v_scope   text := 'operator';
  v_problem text;
begin
  if p_sha256 is not null then
    select *
      into v_token
      from wfg.tokens t
     where t.sha256 = p_sha256
       and t.namespace = wfg.namespace();

    v_problem := case
      when v_token.id is null then 'There is no such token.'
      when v_token.revoked_at is not null then 'The token was revoked.'
      when v_token.expires_at <= v_now then 'The token has expired.'
    end;
    if v_problem is not null then
      raise sqlstate 'PT401' using
        message = 'token_invalid',
        detail  = v_problem,
        hint    = 'Ask for a new one: wfg token create makes it.';
    end if;

    v_scope := v_token.scope;
  elsif not p_vouched and exists (select from wfg.tokens t where t.namespace = wfg.namespace()) then
    raise sqlstate 'PT401' using
      message = 'token_missing',
      detail  = 'The request carries no token.',
      hint    = 'Send the header Authorization: Bearer TOKEN.';
  end if;

  if not wfg.scope_allows(v_scope, p_function) then
    raise sqlstate 'PT403' using
      message = 'scope_missing',
      detail  = format('The scope %s does not allow %s.', v_scope, p_function),
      hint    = 'Use a token of a scope that does.';
  end if;

  -- Others who use the same token go on meanwhile: nobody waits for this row.
  if (v_token.last_used_at is null or v_token.last_used_at <= v_now - interval '1 minute')
     and v_token.id is not null
     and current_setting('transaction_read_only') = 'off'
  then
    update wfg.tokens t
       set last_used_at = v_now
      from (
             select u.id
               from wfg.tokens u
              where u.id = v_token.id
                and (u.last_used_at is null or u.last_used_at <= v_now - interval '1 minute')
                for no key update skip locked
           ) l
     where t.id = l.id;
  end if;

  return true;
end;
$$;

comment on function wfg.authorize(bytea, text, boolean) is
$$Refuse a request whose token does not allow this function of schema public; else true. The one place of this check.

p_sha256: of the token; null for a request without one, which is let in while there never was a token: a server without
one listens on its own machine only. p_vouched: the server knows the caller by other means. Both may call what role
wfg_operator may: the functions that make tokens are for the owner alone.
Servers call it in the statement that calls the function.
Errors: 401 token_missing, token_invalid; 403 scope_missing.$$;
