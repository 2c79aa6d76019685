create or replace function wfg.workflow_json(
  p_workflow_id text,
  p_version_id  bigint,
  p_run_id      uuid
)
  returns json
  language plpgsql
  stable
as $$
declare
  v_jobs json;
begin
  select coalesce(
           json_agg(
             json_build_object(
               'id', s.key,
               'name', s.name,
               'status', wfg.job_state(j.state, q.lease_nonce),
               'command', s.command,
               'duration_secs', case
                 when j.state in ('success', 'failure') then
                   floor(extract(epoch from j.finished_at - j.started_at))::bigint
               end,
               'started_at', (wfg.epoch_ms(coalesce(j.started_at, q.leased_at)))::numeric(20, 1),
               'depends_on', array(
                 select p.key
                   from unnest(s.parents) n (job_no)
                  cross join lateral (
                          select k.key, k.display_no
                            from wfg.job_specs k
                           where k.version_id = s.version_id
                             and k.job_no = n.job_no
                          offset 0
                        ) p
                  order by p.display_no
               ),
               'output', case j.state when 'failure' then j.error end,
               'required_labels', s.labels,
               'max_retries', s.retries,
               'attempt', coalesce(q.attempt, j.attempt, 0),
               'metadata', s.metadata,
               'ports', s.ports,
               'children', s.nested_jobs,
               'collapsed', s.collapsed
             )
             order by s.display_no
           ),
           '[]'
         )
    into v_jobs
    from wfg.job_specs s
         -- One probe each, by both columns: the run alone would be read whole for each job.
    left join lateral (
           select *
             from wfg.jobs i
            where i.run_id = p_run_id
              and i.job_no = s.job_no
           offset 0
         ) j on true
    left join lateral (
           select *
             from wfg.queue i
            where i.run_id = p_run_id
              and i.job_no = s.job_no
              and i.cancelled_at is null
           offset 0
         ) q on true
   where s.version_id = p_version_id;

  return (
    select json_build_object('id', p_workflow_id, 'name', v.name, 'trigger', v.trigger, 'jobs', v_jobs)
      from wfg.workflow_versions v
     where v.id = p_version_id
  );
end;
$$;

comment on function wfg.workflow_json(text, bigint, uuid) is
$$A Workflow as workflow-graph clients know it, no field omitted. p_run_id null: as if never run, all jobs queued.

started_at: epoch milliseconds with a decimal, as those clients parse a float. duration_secs: whole seconds.$$;
