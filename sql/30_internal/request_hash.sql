create or replace function wfg.request_hash(
  p_inputs   jsonb,
  p_start_at timestamptz
)
  returns bytea
  language plpgsql
  immutable
as $$
begin
  return sha256(convert_to(p_inputs::text || ' ' || coalesce(wfg.epoch_ms(p_start_at)::text, ''), 'UTF8'));
end;
$$;

comment on function wfg.request_hash(jsonb, timestamptz) is
'What tells a repeat of a start with an idempotency key from another request: inputs and start time, as sent.';
