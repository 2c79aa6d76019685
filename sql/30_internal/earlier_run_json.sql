create or replace function wfg.earlier_run_json(
  p_earlier wfg.runs,
  p_run     wfg.runs
)
  returns json
  language plpgsql
  stable
as $$
begin
  if p_run.request_hash <> p_earlier.request_hash then
    raise sqlstate 'PT409' using
      message = 'idempotency_key_reused',
      detail  = format('p_idempotency_key: run %s was started by another request', p_earlier.id),
      hint    = 'Send the same request again, or a new key.';
  end if;

  return json_build_object(
    'run_id', p_earlier.id,
    'workflow_id', p_earlier.workflow_id,
    'version', (select v.version from wfg.workflow_versions v where v.id = p_earlier.version_id),
    'created', false
  );
end;
$$;

comment on function wfg.earlier_run_json(wfg.runs, wfg.runs) is
$$The answer to a start (p_run) that found an earlier run in its way, of its idempotency key or at the workflow door.

Errors: 409 idempotency_key_reused, when the earlier one was started otherwise.$$;
