create or replace function wfg.read_run_items(
  p_workflow_id text,
  p_items       jsonb,
  p_started_by  text,
  p_reason      text,
  p_traceparent text,
  p_now         timestamptz
)
  returns wfg.runs[]
  language plpgsql
  volatile
as $$
declare
  v_run  wfg.runs;
  v_runs wfg.runs[] := '{}'::wfg.runs[];
  v_item jsonb;
  v_no   integer := 0;
begin
  v_run.namespace := wfg.namespace();
  v_run.workflow_id := p_workflow_id;
  v_run.door := 'run';
  v_run.started_by := p_started_by;
  v_run.reason := p_reason;
  v_run.traceparent := p_traceparent;

  for v_item in select i.item from jsonb_array_elements(p_items) with ordinality i (item, ord) order by i.ord loop
    -- Ids in the order sent: a microsecond is more than the resolution of a UUID version 7.
    v_run.id := wfg.uuid_v7(p_now + v_no * interval '1 microsecond');
    v_run.inputs := coalesce(nullif(v_item -> 'inputs', 'null'), '{}');
    v_run.start_at := to_timestamp((v_item ->> 'start_at_ms')::numeric / 1000);
    v_run.idempotency_key := v_item ->> 'idempotency_key';
    v_run.request_hash := null;

    if v_run.idempotency_key is not null then
      v_run.request_hash := wfg.request_hash(v_run.inputs, v_run.start_at);
    end if;

    v_runs[v_no + 1] := v_run;
    v_no := v_no + 1;
  end loop;

  return v_runs;
end;
$$;

comment on function wfg.read_run_items(text, jsonb, text, text, text, timestamptz) is
'The runs that these items ask for, in their order; inputs as sent.';
