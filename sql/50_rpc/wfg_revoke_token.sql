-- wfg token revoke
create or replace function public.wfg_revoke_token(p_name text)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_now   constant timestamptz := wfg.now();
  v_token wfg.tokens;
begin
  update wfg.tokens t
     set revoked_at = coalesce(t.revoked_at, v_now)
    from (
           select u.id
             from wfg.tokens u
            where u.namespace = wfg.namespace() and u.name = p_name
            order by u.revoked_at desc nulls first
            limit 1
         ) latest
   where t.id = latest.id
  returning t.* into v_token;

  if v_token.id is null then
    raise sqlstate 'PT404' using
      message = 'token_not_found',
      detail  = 'There was never a token of this name.',
      hint    = 'wfg token list shows those that there are.';
  end if;

  return json_build_object(
    'id', v_token.id,
    'name', v_token.name,
    'revoked_at_ms', wfg.epoch_ms(v_token.revoked_at)
  );
end;
$$;

comment on function public.wfg_revoke_token(text) is
$$Refuse a token from now on, for good. For the owner only. A request that has begun may end.

p_name: the living token of that name; when there is none, the last that had it, which stays as it is.
Answers {"id","name","revoked_at_ms"}. Errors: 404 token_not_found.$$;
