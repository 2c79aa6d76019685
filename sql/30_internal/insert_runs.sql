create or replace function wfg.insert_runs(
  p_runs    wfg.runs[],
  p_version wfg.workflow_versions,
  p_now     timestamptz
)
  returns uuid[]
  language plpgsql
  volatile
as $$
declare
  v_job_count constant integer := p_version.job_count;
  v_ids                uuid[];
  v_start_ats          timestamptz[];
  v_any_cancelled      boolean := false;
  v_lane_ids           integer[];
  v_lane_id            integer;
begin
  -- In the order of their keys: two batches with the same ones wait for each other, but not in a circle.
  with inserted as (
    insert into wfg.runs (
      id, version_id, created_at, start_at, finished_at, open_left, state, door, namespace, workflow_id, inputs,
      idempotency_key, request_hash, started_by, reason, active_workflow_id, traceparent
    )
    select r.id, p_version.id, p_now, r.start_at,
           case v_job_count when 0 then p_now end,
           case when wfg.is_wide(v_job_count) then 16 else v_job_count end,
           case v_job_count when 0 then 'success' else 'active' end,
           r.door, r.namespace, r.workflow_id, r.inputs, r.idempotency_key, r.request_hash, r.started_by, r.reason,
           case when r.door = 'workflow' and v_job_count > 0 then r.workflow_id end,
           r.traceparent
      from unnest(p_runs) r
     order by r.idempotency_key, r.id
        on conflict do nothing
    returning id, start_at,
              nextval('wfg.total_runs_started'),
              case v_job_count when 0 then nextval('wfg.total_runs_success') end
  )
  select coalesce(array_agg(i.id), '{}'::uuid[]), array_agg(i.start_at) into v_ids, v_start_ats from inserted i;

  if v_ids = '{}' then
    return v_ids;
  end if;

  insert into wfg.jobs (run_id, job_no, parents_left)
  select k.id, s.job_no,
         case
           when s.is_wide then (select count(distinct p.job_no % 16) from unnest(s.parents) p (job_no))
           else cardinality(s.parents)
         end
    from unnest(v_ids) k (id)
   cross join wfg.job_specs s
   where s.version_id = p_version.id;

  if wfg.is_wide(v_job_count) then
    perform wfg.insert_slots(v_ids, p_version.id, '{}');
  end if;

  if p_runs[1].door = 'workflow' then
    update wfg.workflows w
       set latest_run_id = v_ids[1]
     where w.namespace = p_runs[1].namespace
       and w.id = p_runs[1].workflow_id;

    v_any_cancelled := wfg.any_cancelled_lease();

    if v_any_cancelled then
      perform wfg.lock_leases_holding(p_runs[1].workflow_id, p_version.id);
    end if;
  end if;

  with queued as (
    insert into wfg.queue (run_id, job_no, lane_id, version_id, ready_at, enqueued_at)
    select k.id, s.job_no, s.lane_id, s.version_id, greatest(k.start_at, p_now), p_now
      from unnest(v_ids, v_start_ats) k (id, start_at)
     cross join wfg.job_specs s
     where s.version_id = p_version.id
       and s.parents = '{}'
    returning lane_id, ready_at
  )
  select array_agg(distinct q.lane_id) filter (where q.ready_at <= p_now) into v_lane_ids from queued q;

  if v_any_cancelled then
    perform wfg.hold_back(
      array(
        select (v_ids[1], s.job_no, false)::wfg.job_ref
          from wfg.job_specs s
         where s.version_id = p_version.id
           and s.parents = '{}'
      ),
      p_now
    );
  end if;

  foreach v_lane_id in array coalesce(v_lane_ids, '{}'::integer[]) loop
    perform wfg.announce('wfg_wake', v_lane_id);
  end loop;

  return v_ids;
end;
$$;

comment on function wfg.insert_runs(wfg.runs[], wfg.workflow_versions, timestamptz) is
$$Create runs of one version with their jobs and counters, and queue what depends on nothing. A run without jobs ends
here.

p_runs: id, namespace, workflow_id, door, inputs, start_at, key and hash, who and why; the rest is filled in. At most
one of the workflow door, and that alone, under wfg.lock_door.
Answers the ids of those inserted; not that of one whose idempotency key is taken, or whose workflow door is.$$;
