create or replace function wfg.insert_run(
  p_run    wfg.runs,
  p_now    timestamptz
)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_job_count constant integer := (select v.job_count from wfg.workflow_versions v where v.id = p_run.version_id);
  v_roots              wfg.job_ref[];
begin
  p_run.created_at := p_now;
  p_run.open_left := case when wfg.is_wide(v_job_count) then 16 else v_job_count end;
  p_run.state := case v_job_count when 0 then 'success' else 'active' end;
  p_run.finished_at := case v_job_count when 0 then p_now end;
  p_run.active_workflow_id := case when p_run.door = 'workflow' and v_job_count > 0 then p_run.workflow_id end;

  insert into wfg.runs
  select p_run.*
      on conflict do nothing;

  if not found then
    return false;
  end if;

  -- It may have waited for the end of another one, and been overtaken: the latest run of this door has the greatest id.
  if p_run.door = 'workflow' and wfg.latest_run_id(p_run.workflow_id) <> p_run.id then
    delete from wfg.runs r where r.id = p_run.id;

    return false;
  end if;

  insert into wfg.jobs (run_id, job_no, parents_left)
  select p_run.id, s.job_no,
         case
           when s.is_wide then (select count(distinct p.job_no % 16) from unnest(s.parents) p (job_no))
           else cardinality(s.parents)
         end
    from wfg.job_specs s
   where s.version_id = p_run.version_id;

  if wfg.is_wide(v_job_count) then
    insert into wfg.run_slots (run_id, slot, open_left)
    select p_run.id, s.job_no % 16, count(*)
      from wfg.job_specs s
     where s.version_id = p_run.version_id
     group by 2;

    insert into wfg.join_slots (run_id, job_no, slot, parents_left)
    select p_run.id, s.job_no, p.job_no % 16, count(*)
      from wfg.job_specs s
     cross join lateral unnest(s.parents) p (job_no)
     where s.version_id = p_run.version_id
       and s.is_wide
     group by 2, 3;
  end if;

  select array_agg((p_run.id, s.job_no, false)::wfg.job_ref order by s.job_no)
    into v_roots
    from wfg.job_specs s
   where s.version_id = p_run.version_id
     and s.parents = '{}';

  if p_run.door = 'workflow' and wfg.any_cancelled_lease() then
    perform wfg.lock_leases_holding(p_run);
  end if;

  perform wfg.enqueue(v_roots, greatest(p_run.start_at, p_now), p_now);

  return true;
end;
$$;

comment on function wfg.insert_run(wfg.runs, timestamptz) is
$$Create a run with its jobs and counters, and queue what depends on nothing. A run without jobs ends here.

p_run: id, version_id, namespace, workflow_id, door, inputs, start_at, who and why; the rest is filled in.
False when another run stands in the way, of the same idempotency key or active at the workflow door, or has
overtaken it there.$$;
