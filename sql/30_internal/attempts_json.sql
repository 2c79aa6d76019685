create or replace function wfg.attempts_json(
  p_run_id uuid,
  p_job_no integer
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
                 'attempt', a.attempt,
                 'outcome', a.outcome,
                 'worker_id', a.worker_id,
                 'started_at_ms', wfg.epoch_ms(a.started_at),
                 'finished_at_ms', wfg.epoch_ms(a.finished_at),
                 'error', a.error
               )
               order by a.attempt
             )
        from wfg.attempts a
       where a.run_id = p_run_id
         and a.job_no = p_job_no
    ),
    '[]'
  );
end;
$$;

comment on function wfg.attempts_json(uuid, integer) is
'The attempts of a job that did not end it, and a cancelled one, in their order.';
