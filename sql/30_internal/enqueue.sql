create or replace function wfg.enqueue(
  p_refs     wfg.job_ref[],
  p_ready_at timestamptz,
  p_now      timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  insert into wfg.queue (run_id, job_no, lane_id, version_id, ready_at, enqueued_at)
  select k.run_id, k.job_no, s.lane_id, s.version_id, p_ready_at, p_now
    from unnest(p_refs) k
   cross join lateral (
           select v.version_id, v.job_no, v.lane_id
             from wfg.runs r
             join wfg.job_specs v on v.version_id = r.version_id and v.job_no = k.job_no
            where r.id = k.run_id
           offset 0             -- else the join may begin with all jobs of the version
         ) s;

  if wfg.any_cancelled_lease() then
    perform wfg.hold_back(p_refs, p_now);
  end if;

  perform wfg.wake_lanes(p_refs, p_now);
end;
$$;

comment on function wfg.enqueue(wfg.job_ref[], timestamptz, timestamptz) is
'Queue jobs that wait for no parent any more, held back where a cancelled lease of the workflow door says so.';
