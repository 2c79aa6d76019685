create or replace function wfg.known_limits()
  returns setof wfg.known_limit
  language sql
  immutable
  rows 12
as $$
  -- The first row gives the columns their types. What is so small that a limit is not looked up for it depends on
  -- `least`: outputs, inputs and logs (wfg.check_outputs, wfg.resolve_inputs, wfg.store_chunks).
  values
    -- name, preset, least, most, description
    ('definition_bytes', 16777216::bigint, 65536::bigint, 67108864::bigint,
     'Bytes of a definition, as JSON'),
    ('definition_levels', 250, 20, 500,
     'Levels of mappings and lists in a definition'),
    ('jobs_per_workflow', 10000, 10, 50000,
     'Jobs of a workflow'),
    ('inputs_per_workflow', 1000, 10, 5000,
     'Inputs that a workflow declares'),
    ('needs_per_job', 10000, 10, 50000,
     'Jobs that a job needs'),
    ('labels_per_job', 100, 10, 100,
     'Labels that a job requires'),
    ('labels_per_worker', 100, 10, 100,
     'Labels of a worker'),
    ('label_chars', 200, 36, 400,
     'Characters of a label'),
    ('run_input_bytes', 1048576, 1024, 4194304,
     'Bytes of the inputs of a run, as JSON'),
    ('job_output_bytes', 1048576, 1024, 16777216,
     'Bytes of the outputs of a job, as JSON'),
    ('outputs_per_job', 10000, 128, 100000,
     'Outputs of a job'),
    ('job_log_bytes', 16777216, 1048576, 67108864,
     'Bytes of the log of a job, all attempts together; what comes after is dropped, with a marker');
$$;

comment on function wfg.known_limits() is
$$The limits that may be set (wfg_set_limit), and within which bounds: most is what was tried, least what the protocol
needs, and the sample workflow.$$;
