create or replace function wfg.claim_json(
  p_lease wfg.queue,
  p_spec  wfg.job_specs,
  p_run   wfg.runs
)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_shown_id constant text := case p_run.door when 'workflow' then p_run.workflow_id else p_run.id::text end;
  v_upstream          jsonb := '{}'::jsonb;
  v_omitted           text[] := '{}'::text[];
  v_has_any           boolean := false;
  v_env               jsonb := p_spec.env;
  v_command           text := p_spec.command;
begin
  if p_spec.parents <> '{}' then
    select u.outputs, u.omitted, u.has_any
      into v_upstream, v_omitted, v_has_any
      from wfg.upstream_outputs(p_lease.run_id, p_lease.version_id, p_spec.parents) u;
  end if;

  if p_run.inputs <> '{}' or v_has_any then
    -- A command is one argument of a shell: less than 128 KiB on Linux.
    v_env := wfg.given_env(p_run.inputs, v_upstream, 131071 - octet_length(v_command)) || v_env;
    v_command := wfg.exports(v_env - array(select e.name from jsonb_object_keys(p_spec.env) e (name))) || v_command;
  end if;

  return json_build_object(
    'job', json_build_object(
      'job_id', p_spec.key,
      'workflow_id', v_shown_id,
      'run_id', p_run.id,
      'command', v_command,
      'script', p_spec.script,
      'env', v_env,
      'inputs', p_run.inputs,
      'required_labels', p_spec.labels,
      'retry_policy', json_build_object(
        'max_retries', p_spec.retries,
        'backoff', wfg.backoff_json(p_spec.backoff, p_spec.backoff_base, p_spec.backoff_max)
      ),
      'attempt', p_lease.attempt,
      'upstream_outputs', v_upstream,
      'upstream_omitted', v_omitted,
      'enqueued_at_ms', wfg.epoch_ms(p_lease.enqueued_at),
      'delayed_until_ms', case
        when p_lease.ready_at > p_lease.enqueued_at then wfg.epoch_ms(p_lease.ready_at)
        else 0
      end,
      'timeout_secs', p_spec.timeout_secs
    ),
    'lease', json_build_object(
      'lease_id', wfg.lease_id(p_lease.run_id, p_lease.job_no, p_lease.lease_nonce),
      'job_id', p_spec.key,
      'workflow_id', v_shown_id,
      'run_id', p_run.id,
      'worker_id', p_lease.worker_id,
      'ttl_secs', p_lease.ttl_secs,
      'granted_at_ms', wfg.epoch_ms(p_lease.leased_at),
      'expires_at_ms', wfg.epoch_ms(p_lease.expires_at)
    )
  );
end;
$$;

comment on function wfg.claim_json(wfg.queue, wfg.job_specs, wfg.runs) is
'What a worker is handed for a lease: the job with everything it needs, and the lease (sql/README.md, Claim).';
