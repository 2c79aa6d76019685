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
                 'kept', wfg.is_kept(j.state, j.lease_nonce),
                 'attempt', coalesce(q.attempt, j.attempt),
                 'worker_id', coalesce(q.worker_id, j.worker_id),
                 'started_at_ms', wfg.epoch_ms(coalesce(q.leased_at, j.started_at)),
                 'finished_at_ms', wfg.epoch_ms(j.finished_at)
               )
               order by s.display_no
             )
        from wfg.job_specs s
             -- One probe each, by both columns: the run alone would be read whole for each job.
       cross join lateral (
               select *
                 from wfg.jobs i
                where i.run_id = p_run_id
                  and i.job_no = s.job_no
               offset 0
             ) j
        left join lateral (
               select *
                 from wfg.queue i
                where i.run_id = p_run_id
                  and i.job_no = s.job_no
                  and i.cancelled_at is null
               offset 0
             ) q on true
       where s.version_id = p_version_id
    ),
    '[]'
  );
end;
$$;

comment on function wfg.job_states_json(uuid, bigint) is
'What may change about the jobs of a run, in the order of the file. A cancelled lease is no part of its job any more.';
