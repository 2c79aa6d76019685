create or replace function wfg.listed_job_json(
  p_run       wfg.runs,
  p_job       wfg.jobs,
  p_spec      wfg.job_specs,
  p_entry     wfg.queue,
  p_priority  integer,
  p_no_worker boolean,
  p_now       timestamptz
)
  returns json
  language plpgsql
  stable
as $$
declare
  v_entry      wfg.queue := p_entry;
  v_waits      text;
  v_started_at timestamptz;
begin
  -- A cancelled lease is no part of the job any more.
  if v_entry.cancelled_at is not null then
    v_entry := null;
  end if;

  v_started_at := coalesce(v_entry.leased_at, p_job.started_at);

  if p_job.state = 'queued' then
    v_waits := wfg.waits_for(v_entry, p_now);
  end if;

  return json_build_object(
    'run_id', p_run.id,
    'workflow_id', p_run.workflow_id,
    'job_id', p_spec.key,
    'name', p_spec.name,
    'state', wfg.job_state(p_job.state, v_entry.lease_nonce),
    'waits', v_waits,
    'paused', case
      when v_entry.run_id is not null and v_entry.lease_nonce is null and exists (select from wfg.pauses) then
        wfg.pause_of(p_run.workflow_id, p_spec.labels)
    end,
    'attempt', coalesce(v_entry.attempt, p_job.attempt),
    'attempts', coalesce(v_entry.attempt, p_job.attempt) + (v_started_at is not null)::integer,
    'worker_id', coalesce(v_entry.worker_id, p_job.worker_id),
    'required_labels', p_spec.labels,
    'priority', p_priority,
    'no_worker', v_waits is not null and p_no_worker,
    'ready_at_ms', wfg.epoch_ms(v_entry.ready_at),
    'started_at_ms', wfg.epoch_ms(v_started_at),
    'finished_at_ms', wfg.epoch_ms(p_job.finished_at),
    'wait_ms', case
      when v_entry.ready_at <= p_now then
        greatest(wfg.epoch_ms(coalesce(v_entry.leased_at, p_now)) - wfg.epoch_ms(v_entry.ready_at), 0)
    end,
    'run_ms', case
      when v_started_at is not null then
        greatest(wfg.epoch_ms(coalesce(p_job.finished_at, p_now)) - wfg.epoch_ms(v_started_at), 0)
    end,
    'error', p_job.error
  );
end;
$$;

comment on function wfg.listed_job_json(
  wfg.runs, wfg.jobs, wfg.job_specs, wfg.queue, integer, boolean, timestamptz
) is
'An item of wfg_list_jobs (sql/README.md, ListedJob). p_no_worker: no live worker has the labels.';
