create or replace function wfg.claim_json(p_lease wfg.queue)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_run      wfg.runs;
  v_spec     wfg.job_specs;
  v_upstream jsonb := '{}'::jsonb;
  v_env      jsonb;
  v_command  text;
  v_shown_id text;
begin
  select r.* into v_run from wfg.runs r where r.id = p_lease.run_id;
  select s.* into v_spec from wfg.job_specs s where s.version_id = p_lease.version_id and s.job_no = p_lease.job_no;

  v_shown_id := case v_run.door when 'workflow' then v_run.workflow_id else v_run.id::text end;
  v_env := v_spec.env;
  v_command := v_spec.command;

  if v_spec.parents <> '{}' then
    v_upstream := wfg.upstream_outputs(p_lease.run_id, p_lease.version_id, v_spec.parents);
  end if;

  if v_run.inputs <> '{}' or v_upstream <> '{}' then
    v_env := wfg.given_env(v_run.inputs, v_upstream) || v_env;
    v_command := wfg.exports(v_env - array(select e.name from jsonb_object_keys(v_spec.env) e (name))) || v_command;
  end if;

  return json_build_object(
    'job', json_build_object(
      'job_id', v_spec.key,
      'workflow_id', v_shown_id,
      'run_id', v_run.id,
      'command', v_command,
      'script', v_spec.script,
      'env', v_env,
      'inputs', v_run.inputs,
      'required_labels', v_spec.labels,
      'retry_policy', json_build_object(
        'max_retries', v_spec.retries,
        'backoff', wfg.backoff_json(v_spec.backoff, v_spec.backoff_base, v_spec.backoff_max)
      ),
      'attempt', p_lease.attempt,
      'upstream_outputs', v_upstream,
      'enqueued_at_ms', wfg.epoch_ms(p_lease.enqueued_at),
      'delayed_until_ms', case
        when p_lease.ready_at > p_lease.enqueued_at then wfg.epoch_ms(p_lease.ready_at)
        else 0
      end,
      'timeout_secs', v_spec.timeout_secs
    ),
    'lease', json_build_object(
      'lease_id', wfg.lease_id(p_lease.run_id, p_lease.job_no, p_lease.lease_nonce),
      'job_id', v_spec.key,
      'workflow_id', v_shown_id,
      'run_id', v_run.id,
      'worker_id', p_lease.worker_id,
      'ttl_secs', p_lease.ttl_secs,
      'granted_at_ms', wfg.epoch_ms(p_lease.leased_at),
      'expires_at_ms', wfg.epoch_ms(p_lease.expires_at)
    )
  );
end;
$$;

comment on function wfg.claim_json(wfg.queue) is
'What a worker is handed for a lease: the job with everything it needs, and the lease (sql/README.md, Claim).';
