create or replace function wfg.store_version(
  p_workflow_id text,
  p_source      json,
  p_definition  jsonb,
  out version_id bigint,
  out version    integer,
  out changed    boolean
)
  language plpgsql
  volatile
as $$
declare
  v_workflow wfg.workflows;
  v_now      timestamptz;
begin
  perform wfg.note_home(wfg.now());

  -- Two first puts at once: the second waits here for the first, then finds its row. One that was deleted long ago may
  -- be pruned in between.
  loop
    insert into wfg.workflows (namespace, id, version, created_at, updated_at)
    values (wfg.namespace(), p_workflow_id, 1, wfg.now(), wfg.now())
        on conflict on constraint workflows_pkey do nothing;

    select w.*
      into v_workflow
      from wfg.workflows w
     where w.namespace = wfg.namespace()
       and w.id = p_workflow_id
       for update;

    exit when found;
  end loop;

  v_now := wfg.now();

  select v.id, v.version, v.definition <> p_definition or v_workflow.deleted_at is not null
    into version_id, version, changed
    from wfg.workflow_versions v
   where v.namespace = v_workflow.namespace
     and v.workflow_id = v_workflow.id
     and v.version = v_workflow.version;

  if not changed then
    return;
  end if;

  changed := true;
  version := coalesce(version + 1, 1);

  insert into wfg.workflow_versions (
    namespace, workflow_id, version, name, trigger, source, definition, inputs, job_count, created_at
  )
  values (
    v_workflow.namespace, v_workflow.id, version, p_definition ->> 'name', p_definition ->> 'trigger', p_source,
    p_definition, p_definition -> 'inputs', jsonb_array_length(p_definition -> 'jobs'), v_now
  )
  returning id into version_id;

  perform wfg.add_lanes(p_definition);
  perform wfg.insert_job_specs(version_id, p_source, p_definition);

  update wfg.workflows w
     set version = store_version.version,
         updated_at = v_now,
         deleted_at = null
   where w.namespace = v_workflow.namespace
     and w.id = v_workflow.id;
end;
$$;

comment on function wfg.store_version(text, json, jsonb) is
$$Make a normal form the current version of a workflow. The same again makes no new version, unless the workflow was
deleted: then it is there again, with its next version.

p_source: as it was sent, a file or {"name","trigger","jobs"} with the API's job list.$$;
