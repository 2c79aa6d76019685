create or replace function wfg.job_json(
  p_job    wfg.jobs,
  p_spec   wfg.job_specs,
  p_entry  wfg.queue,
  p_paused text
)
  returns json
  language plpgsql
  stable
as $$
declare
  v_entry wfg.queue := p_entry;
begin
  -- A cancelled lease is no part of the job any more.
  if v_entry.cancelled_at is not null then
    v_entry := null;
  end if;

  return json_build_object(
    'job_id', p_spec.key,
    'name', p_spec.name,
    'state', wfg.job_state(p_job.state, v_entry.lease_nonce),
    'kept', wfg.is_kept(p_job.state, p_job.lease_nonce),
    'attempt', coalesce(v_entry.attempt, p_job.attempt),
    'worker_id', coalesce(v_entry.worker_id, p_job.worker_id),
    'needs', array(
      select s.key
        from unnest(p_spec.parents) p (job_no)
       cross join lateral (
               select k.key, k.display_no
                 from wfg.job_specs k
                where k.version_id = p_spec.version_id
                  and k.job_no = p.job_no
               offset 0
             ) s
       order by s.display_no
    ),
    'group', p_spec.job_group,
    'ready_at_ms', wfg.epoch_ms(v_entry.ready_at),
    'started_at_ms', wfg.epoch_ms(coalesce(v_entry.leased_at, p_job.started_at)),
    'finished_at_ms', wfg.epoch_ms(p_job.finished_at),
    'error', p_job.error,
    'paused', case when v_entry.ready_at is not null and v_entry.lease_nonce is null then p_paused end
  );
end;
$$;

comment on function wfg.job_json(wfg.jobs, wfg.job_specs, wfg.queue, text) is
'A job of a run, as a member of "jobs" (sql/README.md, Run). ready_at_ms: null once it has ended, and while
parents are open. p_paused: what keeps it from being handed out, if it waits for a worker.';
