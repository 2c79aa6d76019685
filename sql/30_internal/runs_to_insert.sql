create or replace function wfg.runs_to_insert(
  p_runs     wfg.runs[],
  p_declared jsonb
)
  returns wfg.runs[]
  language plpgsql
  volatile
as $$
begin
  return array(
    select (
             r.id, r.version_id, r.created_at, r.start_at, r.finished_at, r.open_left, r.state, r.door, r.namespace,
             r.workflow_id, wfg.resolve_inputs(format('p_runs[%s].inputs', r.ordinality - 1), p_declared, r.inputs),
             r.idempotency_key, r.request_hash, r.started_by, r.reason, r.cancelled_by, r.cancel_reason,
             r.active_workflow_id, r.logs_pruned_at, r.traceparent, r.rerun_of
           )::wfg.runs
      from (
             select i.*, row_number() over (partition by i.idempotency_key order by i.ordinality) as nth
               from unnest(p_runs) with ordinality i
           ) r
     where r.idempotency_key is null
        or r.nth = 1
       and not exists (
             select
               from wfg.runs e
              where e.namespace = r.namespace
                and e.workflow_id = r.workflow_id
                and e.idempotency_key = r.idempotency_key
           )
  );
end;
$$;

comment on function wfg.runs_to_insert(wfg.runs[], jsonb) is
$$Those of these runs whose idempotency key is not known yet (the first of each key, and all without one), their inputs
resolved: a repeat is known by what was sent, also when the workflow has other inputs by now.

p_declared: the inputs of the version. Errors: 422 invalid_request, naming the item and the input.$$;
