create or replace function wfg.next_run_id(
  p_run wfg.runs,
  p_now timestamptz
)
  returns uuid
  language plpgsql
  volatile
as $$
declare
  v_latest constant text := case when p_run.door = 'workflow' then wfg.latest_run_id(p_run.workflow_id)::text end;
  v_ms              bigint;
begin
  if v_latest is null then
    return wfg.uuid_v7(p_now);
  end if;

  -- The latest run of this door must have the greatest id, also when the clock was set back.
  v_ms := ('x' || left(replace(v_latest, '-', ''), 12))::bit(48)::bigint;

  return wfg.uuid_v7(greatest(p_now, to_timestamp((v_ms + 1) / 1000.0)));
end;
$$;

comment on function wfg.next_run_id(wfg.runs, timestamptz) is
'An id for a new run: of its time; at the workflow door also greater than that of every earlier run there.';
