create or replace function wfg.run_json(
  p_run  wfg.runs,
  p_jobs json
)
  returns json
  language plpgsql
  stable
as $$
begin
  return (
    select json_build_object(
             'run_id', p_run.id,
             'workflow_id', p_run.workflow_id,
             'version', v.version,
             'name', v.name,
             'state', wfg.run_state(p_run.id),
             'door', p_run.door,
             'rerun_of', p_run.rerun_of,
             'inputs', p_run.inputs,
             'created_at_ms', wfg.epoch_ms(p_run.created_at),
             'start_at_ms', wfg.epoch_ms(p_run.start_at),
             'started_at_ms', wfg.run_started_at_ms(p_run.id),
             'finished_at_ms', wfg.epoch_ms(p_run.finished_at),
             'idempotency_key', p_run.idempotency_key,
             'started_by', p_run.started_by,
             'reason', p_run.reason,
             'cancelled_by', p_run.cancelled_by,
             'cancel_reason', p_run.cancel_reason,
             'logs_pruned_at_ms', wfg.epoch_ms(p_run.logs_pruned_at),
             'traceparent', p_run.traceparent,
             'paused', case
               when p_run.state = 'active' and exists (select from wfg.pauses) then
                 wfg.pause_of(p_run.workflow_id, null)
             end,
             'jobs', p_jobs
           )
      from wfg.workflow_versions v
     where v.id = p_run.version_id
  );
end;
$$;

comment on function wfg.run_json(wfg.runs, json) is
'A Run (sql/README.md, Run). p_jobs null: without its jobs.';
