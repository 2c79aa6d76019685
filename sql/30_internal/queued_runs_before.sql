create or replace function wfg.queued_runs_before(
  p_before uuid,
  p_from   uuid,
  p_count  integer
)
  returns uuid[]
  language plpgsql
  stable
as $$
declare
  v_id  uuid := p_before;
  v_ids uuid[] := '{}'::uuid[];
begin
  -- A loose index scan: one probe per run, however many of its jobs are in the queue.
  while cardinality(v_ids) < p_count loop
    select q.run_id
      into v_id
      from wfg.queue q
     where q.run_id < v_id
       and q.run_id >= p_from
     order by q.run_id desc
     limit 1;

    exit when v_id is null;

    v_ids := v_ids || v_id;
  end loop;

  return v_ids;
end;
$$;

comment on function wfg.queued_runs_before(uuid, uuid, integer) is
'Runs with anything in the queue, among them all active ones: the newest below an id, and not below p_from.';
