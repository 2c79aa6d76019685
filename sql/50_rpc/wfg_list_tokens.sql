-- wfg token list
create or replace function public.wfg_list_tokens()
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  v_now constant timestamptz := wfg.now();
begin
  return coalesce(
    (
      select json_agg(
               json_build_object(
                 'id', t.id,
                 'name', t.name,
                 'scope', t.scope,
                 'state', case
                   when t.revoked_at is not null then 'revoked'
                   when t.expires_at <= v_now then 'expired'
                   else 'living'
                 end,
                 'created_at_ms', wfg.epoch_ms(t.created_at),
                 'expires_at_ms', wfg.epoch_ms(t.expires_at),
                 'revoked_at_ms', wfg.epoch_ms(t.revoked_at),
                 'last_used_at_ms', wfg.epoch_ms(t.last_used_at)
               )
               order by t.id
             )
        from wfg.tokens t
       where t.namespace = wfg.namespace()
    ),
    '[]'
  );
end;
$$;

comment on function public.wfg_list_tokens() is
$$All tokens there ever were, oldest first: an array of {"id","name","scope","state","created_at_ms","expires_at_ms",
"revoked_at_ms","last_used_at_ms"}. For the owner only.

state: living, expired or revoked. last_used_at_ms is right to the minute. Neither tokens nor their hashes are shown.$$;
