-- wfg token create
create or replace function public.wfg_create_token(
  p_name       text,
  p_scope      text,
  p_sha256     text,
  p_expires_at timestamptz default null
)
  returns json
  language plpgsql
  volatile
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_seqscan = off
  set jit = off
as $$
declare
  v_now constant timestamptz := wfg.now();
  v_id  bigint;
begin
  perform wfg.check_text('p_name', p_name, 200, false);
  perform wfg.check_new_token(p_scope, p_sha256, p_expires_at, v_now);

  -- An expired one does not keep its name.
  update wfg.tokens t
     set revoked_at = v_now
   where t.namespace = wfg.namespace()
     and t.name = p_name
     and t.revoked_at is null
     and t.expires_at <= v_now;

  insert into wfg.tokens as t (namespace, name, sha256, scope, created_at, expires_at)
  values (wfg.namespace(), p_name, decode(p_sha256, 'hex'), p_scope, v_now, p_expires_at)
      on conflict do nothing
  returning t.id into v_id;

  if v_id is null then
    raise sqlstate 'PT409' using
      message = 'token_exists',
      detail  = format('There is a living token %s, or this very token was made before.', p_name),
      hint    = 'Revoke it first, or take another name.';
  end if;

  return json_build_object(
    'id', v_id,
    'name', p_name,
    'scope', p_scope,
    'created_at_ms', wfg.epoch_ms(v_now),
    'expires_at_ms', wfg.epoch_ms(p_expires_at)
  );
end;
$$;

comment on function public.wfg_create_token(text, text, text, timestamptz) is
$$Let a token in. For the owner only: who makes tokens can do everything.

p_name: of no other living token. p_scope: worker, operator or reader. p_sha256: 64 hexadecimal digits, of the token's
whole text, which stays with who made it. p_expires_at: null means never.
Answers {"id","name","scope","created_at_ms","expires_at_ms"}. Errors: 409 token_exists; 422 invalid_request.$$;
