create or replace function wfg.outcomes_json(
  p_workflow_id text,
  p_version     integer,
  p_newest      integer
)
  returns json
  language plpgsql
  stable
as $$
declare
  v_name   text;
  v_jobs   integer;
  v_inputs integer;
begin
  select v.name, v.job_count, jsonb_array_length(v.inputs)
    into v_name, v_jobs, v_inputs
    from wfg.workflow_versions v
   where v.namespace = wfg.namespace()
     and v.workflow_id = p_workflow_id
     and v.version = p_version;

  return (
    select json_build_object(
             'workflow_id', p_workflow_id,
             'name', v_name,
             'version', p_version,
             'jobs', v_jobs,
             'inputs', v_inputs,
             'paused', wfg.pause_of(p_workflow_id, null),
             'success_rate', round(
               avg((n.state = 'success')::integer) filter (where n.state in ('success', 'failure')),
               3
             ),
             'usual_ms', percentile_disc(0.5) within group (order by n.finished_at_ms - n.due_at_ms)
               filter (where n.state = 'success'),
             'runs', coalesce(
               json_agg(
                 json_build_object(
                   'run_id', n.id,
                   'state', case n.state when 'active' then wfg.run_state(n.id) else n.state end,
                   'due_at_ms', n.due_at_ms,
                   'finished_at_ms', n.finished_at_ms
                 )
                 order by n.id desc
               ),
               '[]'
             )
           )
      from (
        select r.id,
               r.state,
               wfg.epoch_ms(greatest(r.created_at, r.start_at)) as due_at_ms,
               wfg.epoch_ms(r.finished_at) as finished_at_ms
          from wfg.runs r
         -- As rows: only runs_of_workflow has them in this order, whatever the statistics say of one workflow.
         where (r.namespace, r.workflow_id, r.id) >= (wfg.namespace(), p_workflow_id, wfg.min_uuid())
           and (r.namespace, r.workflow_id, r.id) <= (wfg.namespace(), p_workflow_id, wfg.max_uuid())
         order by r.namespace desc, r.workflow_id desc, r.id desc
         limit p_newest
      ) n
  );
end;
$$;

comment on function wfg.outcomes_json(text, integer, integer) is
$$A workflow with its newest runs, how many of them succeeded and how long they took (sql/README.md, Outcomes).

The time is that from when a run was due: what its jobs waited counts, and their rows need not be read.$$;
