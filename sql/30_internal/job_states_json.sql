create or replace function wfg.job_states_json(
  p_run_id     uuid,
  p_version_id bigint
)
  returns json
  language plpgsql
  stable
as $$
begin
  return coalesce(
    (
      select json_agg(
               json_build_object(
                 'job_id', s.key,
                 'state', wfg.job_state(j.state, q.lease_nonce),
                 'attempt', coalesce(q.attempt, j.attempt),
                 'worker_id', coalesce(q.worker_id, j.worker_id),
                 'started_at_ms', wfg.epoch_ms(coalesce(q.leased_at, j.started_at)),
                 'finished_at_ms', wfg.epoch_ms(j.finished_at)
               )
               order by s.display_no
             )
        from wfg.job_specs s
        join wfg.jobs j on j.run_id = p_run_id and j.job_no = s.job_no
        left join wfg.queue q on q.run_id = p_run_id and q.job_no = s.job_no and q.cancelled_at is null
       where s.version_id = p_version_id
    ),
    '[]'
  );
end;
$$;

comment on function wfg.job_states_json(uuid, bigint) is
'What may change about the jobs of a run, in the order of the file. A cancelled lease is no part of its job any more.';
