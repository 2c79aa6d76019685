create or replace function wfg.start_runs(
  p_workflow_id text,
  p_items       jsonb,
  p_started_by  text,
  p_reason      text,
  p_traceparent text
)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_version constant wfg.workflow_versions := wfg.current_version(p_workflow_id);
  v_now              timestamptz := wfg.now();
  v_runs             wfg.runs[];
  v_answer           json;
begin
  v_runs := wfg.read_run_items(p_workflow_id, p_items, p_started_by, p_reason, p_traceparent, v_now);

  -- As in wfg.start_run: who stood in the way may be gone by the next statement.
  for v_try in 1 .. 10 loop
    perform wfg.insert_runs(wfg.runs_to_insert(v_runs, v_version.inputs), v_version, v_now);

    v_answer := wfg.started_runs_json(v_runs, v_version.version);

    if v_answer is not null then
      return v_answer;
    end if;

    v_now := wfg.now();
  end loop;

  raise sqlstate '40001' using
    message = 'could_not_start',
    detail  = 'Another run stood in the way again and again, and was gone when looked for.',
    hint    = 'Retry the call.';
end;
$$;

comment on function wfg.start_runs(text, jsonb, text, text, text) is
'Start many runs, of items that wfg.check_run_items let pass. Answers what wfg_start_runs does.';
