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
    join wfg.runs r on r.id = k.run_id
    join wfg.job_specs s on s.version_id = r.version_id and s.job_no = k.job_no;

  if wfg.any_cancelled_lease() then
    perform wfg.hold_back(p_refs, p_now);
  end if;
end;
$$;

comment on function wfg.enqueue(wfg.job_ref[], timestamptz, timestamptz) is
'Queue jobs that wait for no parent any more, held back where a cancelled lease of the workflow door says so.';
