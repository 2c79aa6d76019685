create or replace function wfg.insert_rerun(
  p_run  wfg.runs,
  p_kept boolean[]
)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_job_count constant integer := cardinality(p_kept);
  v_ready              integer[];
begin
  insert into wfg.runs (
    id, version_id, created_at, finished_at, open_left, state, door, namespace, workflow_id, inputs, idempotency_key,
    request_hash, started_by, reason, traceparent, rerun_of
  )
  select p_run.id, p_run.version_id, p_run.created_at,
         case v_job_count when 0 then p_run.created_at end,
         case when wfg.is_wide(v_job_count) then count(distinct k.job_no % 16) else count(*) end,
         case v_job_count when 0 then 'success' else 'active' end,
         p_run.door, p_run.namespace, p_run.workflow_id, p_run.inputs, p_run.idempotency_key, p_run.request_hash,
         p_run.started_by, p_run.reason, p_run.traceparent, p_run.rerun_of
    from unnest(p_kept) with ordinality k (is_kept, job_no)
   where not k.is_kept
      on conflict do nothing;

  if not found then
    return false;
  end if;

  perform nextval('wfg.total_runs_started'), case v_job_count when 0 then nextval('wfg.total_runs_success') end;

  -- A kept job has no nonce: that is what tells it (wfg.is_kept).
  with inserted as (
    insert into wfg.jobs (
      run_id, job_no, parents_left, started_at, finished_at, attempt, state, worker_id, outputs
    )
    select p_run.id, s.job_no,
           (
             select case when s.is_wide then count(distinct p.job_no % 16) else count(*) end
               from unnest(s.parents) p (job_no)
              where not p_kept[p.job_no]
           ),
           b.started_at, b.finished_at, coalesce(b.attempt, 0), coalesce(b.state, 'queued'), b.worker_id, b.outputs
      from wfg.job_specs s
           -- One probe each, by both columns: the run alone would be read whole for each job.
      left join lateral (
             select *
               from wfg.jobs i
              where i.run_id = p_run.rerun_of
                and i.job_no = s.job_no
                and p_kept[s.job_no]
             offset 0
           ) b on true
     where s.version_id = p_run.version_id
    returning job_no, state, parents_left
  )
  select array_agg(i.job_no) filter (where i.state = 'queued' and i.parents_left = 0) into v_ready from inserted i;

  insert into wfg.outputs (run_id, job_no, outputs)
  select p_run.id, o.job_no, o.outputs
    from wfg.outputs o
   where o.run_id = p_run.rerun_of
     and p_kept[o.job_no];

  if wfg.is_wide(v_job_count) then
    perform wfg.insert_slots(array[p_run.id], p_run.version_id, p_kept);
  end if;

  if v_ready is not null then
    perform wfg.enqueue_in_run(p_run.id, p_run.version_id, v_ready, p_run.created_at);
  end if;

  return true;
end;
$$;

comment on function wfg.insert_rerun(wfg.runs, boolean[]) is
$$Create a run that repeats p_run.rerun_of, which is locked: its kept jobs as they ended there, the others with their
counters; and queue what waits for none of these. A run without jobs ends here.

p_kept: by number, whether a job is kept; then so is all that it needs. False: the idempotency key is taken.$$;
