create or replace function wfg.next_run_id(
  p_latest uuid,
  p_now    timestamptz
)
  returns uuid
  language plpgsql
  volatile
as $$
declare
  v_latest_ms bigint;
begin
  if p_latest is null then
    return wfg.uuid_v7(p_now);
  end if;

  v_latest_ms := ('x' || left(replace(p_latest::text, '-', ''), 12))::bit(48)::bigint;

  return wfg.uuid_v7(greatest(p_now, to_timestamp((v_latest_ms + 1) / 1000.0)));
end;
$$;

comment on function wfg.next_run_id(uuid, timestamptz) is
'An id for a new run: of its time, and greater than p_latest (of the same workflow door, or repeated by it; null: none),
also when the clock was set back.';
