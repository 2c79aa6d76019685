create or replace function wfg.pause_json(p_pause wfg.pauses)
  returns json
  language plpgsql
  stable
as $$
begin
  return json_build_object(
    'kind', p_pause.kind,
    'workflow_id', p_pause.workflow_id,
    'labels', p_pause.labels,
    'paused_at_ms', wfg.epoch_ms(p_pause.paused_at),
    'paused_by', p_pause.paused_by,
    'reason', p_pause.reason
  );
end;
$$;

comment on function wfg.pause_json(wfg.pauses) is 'A Pause (sql/README.md, Pause).';
