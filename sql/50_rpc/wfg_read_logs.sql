-- GET /api/runs/{id}/jobs/{job_id}/logs
create or replace function public.wfg_read_logs(
  p_workflow_id text,
  p_job_id      text,
  p_cursor      text default null,
  p_limit       integer default 1000
)
  returns json
  language plpgsql
  stable
  security definer
  set search_path = pg_catalog, pg_temp
  set enable_hashjoin = off
  set enable_mergejoin = off
  set enable_seqscan = off
  set enable_bitmapscan = off
  set enable_material = off
  set cpu_index_tuple_cost = 1
  set plan_cache_mode = force_generic_plan
  set jit = off
as $$
declare
  v_run      wfg.runs;
  v_job_no   integer;
  v_ran_in   uuid;
  v_attempt  integer := 0;
  v_sequence bigint := -1;
  v_answer   json;
begin
  perform wfg.check_range('p_limit', p_limit, 1, 10000);

  if p_cursor is not null then
    if p_cursor !~ '^[0-9]{1,9}\.(-1|[0-9]{1,16})$' then
      raise sqlstate 'PT422' using
        message = 'invalid_request',
        detail  = 'p_cursor: is not a cursor of this list',
        hint    = 'Leave it out to read from the start.';
    end if;

    v_attempt := split_part(p_cursor, '.', 1)::integer;
    v_sequence := split_part(p_cursor, '.', 2)::bigint;
  end if;

  v_run := wfg.known_run(p_workflow_id);
  v_job_no := wfg.job_no(v_run.version_id, p_job_id);
  v_ran_in := wfg.ran_in(v_run, v_job_no);

  select json_build_object(
           'items', coalesce(
             json_agg(
               json_build_object(
                 'workflow_id', p_workflow_id,
                 'job_id', p_job_id,
                 'attempt', c.attempt,
                 'sequence', c.sequence,
                 'data', c.data,
                 'timestamp_ms', c.timestamp_ms,
                 'stream', c.stream
               )
               order by c.attempt, c.sequence
             ),
             '[]'
           ),
           'next_cursor', coalesce(
             (array_agg(c.attempt || '.' || c.sequence order by c.attempt desc, c.sequence desc))[1],
             v_attempt || '.' || v_sequence
           )
         )
    into v_answer
    from (
           select l.*
             from wfg.log_chunks l
            where l.run_id = v_ran_in
              and l.job_no = v_job_no
              and (l.attempt, l.sequence) > (v_attempt, v_sequence)
            order by l.attempt, l.sequence
            limit p_limit
         ) c;

  return v_answer;
end;
$$;

comment on function public.wfg_read_logs(text, text, text, integer) is
$$A job's log from a cursor on, by attempt and sequence.

p_workflow_id: a run's id, or a workflow's: then its latest run of the workflow door. p_cursor: next_cursor of
the answer
before; null from the start. p_limit: 1 to 10000 chunks.
The log of a job that a re-run kept is that of the run in which it ran: nothing once that was pruned.
Answers {"items":[LogChunk with "attempt"],"next_cursor"}; next_cursor is always set: there may be more later.
Errors: 404 run_not_found, workflow_not_found, job_not_found; 422 invalid_request.$$;
