create or replace function wfg.start_run(p_run wfg.runs)
  returns json
  language plpgsql
  volatile
as $$
declare
  v_now     timestamptz;
  v_latest  uuid;
  v_version wfg.workflow_versions;
  v_earlier wfg.runs;
begin
  p_run.namespace := wfg.namespace();

  if p_run.idempotency_key is not null then
    p_run.request_hash := wfg.request_hash(p_run.inputs, p_run.start_at);

    -- A repeat is known by what was sent: the workflow may have other inputs by now, or be deleted.
    v_earlier := wfg.run_in_the_way(p_run);

    if v_earlier.id is not null then
      return wfg.earlier_run_json(v_earlier, p_run);
    end if;
  end if;

  v_version := wfg.current_version(p_run.workflow_id);
  p_run.version_id := v_version.id;
  p_run.inputs := wfg.resolve_inputs('p_inputs', v_version.inputs, p_run.inputs);

  -- A conflict is with a run that is committed; by the next statement it may be over, and the way free again.
  for v_try in 1 .. 10 loop
    if p_run.door = 'workflow' then
      v_latest := wfg.lock_door(p_run.workflow_id);
      v_earlier := wfg.run_in_the_way(p_run);

      if v_earlier.id is not null then
        perform wfg.refuse_old_snapshot(v_earlier.id, null);

        return wfg.earlier_run_json(v_earlier, p_run);
      end if;
    end if;

    v_now := wfg.now();
    p_run.id := wfg.next_run_id(v_latest, v_now);

    if wfg.insert_runs(array[p_run], v_version, v_now) <> '{}' then
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

comment on function wfg.start_run(wfg.runs) is
$$Start a run of the current version of a workflow, or find the one that this request already started.

p_run: workflow_id, door, inputs as sent, start_at, idempotency_key, started_by, reason, traceparent.
Answers {"run_id","workflow_id","version","created"}.$$;
