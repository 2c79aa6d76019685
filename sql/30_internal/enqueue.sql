create or replace function wfg.enqueue(
  p_refs wfg.job_ref[],
  p_now  timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_lane_ids integer[];
  v_lane_id  integer;
begin
  with queued as (
    insert into wfg.queue (run_id, job_no, lane_id, version_id, ready_at, enqueued_at)
    select k.run_id, k.job_no, s.lane_id, s.version_id, p_now, p_now
      from unnest(p_refs) k
     cross join lateral (
             select v.version_id, v.job_no, v.lane_id
               from wfg.runs r
               join wfg.job_specs v on v.version_id = r.version_id and v.job_no = k.job_no
              where r.id = k.run_id
             offset 0             -- else the join may begin with all jobs of the version
           ) s
    returning lane_id
  )
  select array_agg(distinct q.lane_id) into v_lane_ids from queued q;

  if wfg.any_cancelled_lease() then
    perform wfg.hold_back(p_refs, p_now);
  end if;

  foreach v_lane_id in array v_lane_ids loop
    perform wfg.announce('wfg_wake', v_lane_id);
  end loop;
end;
$$;

comment on function wfg.enqueue(wfg.job_ref[], timestamptz) is
'Queue jobs that wait for no parent any more, held back where a cancelled lease of the workflow door says so.';
