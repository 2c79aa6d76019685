create or replace function wfg.start_rerun(
  p_run         wfg.runs,
  p_jobs        text,
  p_from_job_id text
)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_version wfg.workflow_versions;
  v_earlier wfg.runs;
  v_kept    boolean[];
begin
  if p_run.idempotency_key is not null then
    v_earlier := wfg.run_in_the_way(p_run);

    if v_earlier.id is not null then
      return wfg.earlier_run_json(v_earlier, p_run);
    end if;
  end if;

  perform wfg.current_version(p_run.workflow_id);   -- raises workflow_not_found: what was deleted is not started
  perform wfg.lock_ended_run(p_run.rerun_of);

  select v.* into v_version from wfg.workflow_versions v where v.id = p_run.version_id;

  v_kept := wfg.jobs_to_keep(p_run.rerun_of, v_version, p_jobs, p_from_job_id);

  -- As in wfg.start_run: who stood in the way may be gone by the next statement.
  for v_try in 1 .. 10 loop
    p_run.created_at := wfg.now();
    p_run.id := wfg.next_run_id(p_run.rerun_of, p_run.created_at);

    if wfg.insert_rerun(p_run, v_kept) then
      return json_build_object(
        'run_id', p_run.id,
        'workflow_id', p_run.workflow_id,
        'version', v_version.version,
        'created', true
      );
    end if;

    v_earlier := wfg.run_in_the_way(p_run);

    if v_earlier.id is not null then
      return wfg.earlier_run_json(v_earlier, p_run);
    end if;
  end loop;

  raise sqlstate '40001' using
    message = 'could_not_start',
    detail  = 'Another run stood in the way again and again, and was gone when looked for.',
    hint    = 'Retry the call.';
end;
$$;

comment on function wfg.start_rerun(wfg.runs, text, text) is
$$Start a run that repeats another one, or find the one that this request already started.

p_run: what it shares with that one, rerun_of, key and hash, who and why, trace. Answers what wfg.start_run does.$$;
