create or replace function wfg.count_down_runs(
  p_ended wfg.ended_job[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_any_wide constant boolean := exists (select from unnest(p_ended) e where e.in_wide_run);
  v_deltas   wfg.job_delta[];
begin
  select array_agg((n.run_id, null, n.jobs)::wfg.job_delta)
    into v_deltas
    from (
           select e.run_id, count(*)::integer as jobs
             from unnest(p_ended) e
            where not e.in_wide_run
            group by e.run_id
         ) n;

  if v_any_wide then
    v_deltas := v_deltas || wfg.count_down_run_slots(p_ended);
  end if;

  if v_deltas is null then
    return;
  end if;

  perform 1
     from unnest(v_deltas) d
     join wfg.runs r on r.id = d.run_id
    order by r.id
      for update of r;

  -- Under the lock and in a statement of its own, so that the jobs that others ended just now are seen.
  update wfg.runs r
     set open_left   = r.open_left - d.delta,
         state       = case when r.open_left > d.delta then r.state else wfg.run_outcome(r.id) end,
         finished_at = case when r.open_left <= d.delta then p_now end
    from unnest(v_deltas) d
   where r.id = d.run_id;

  if not v_any_wide then
    return;
  end if;

  delete from wfg.run_slots s
   using unnest(v_deltas) d
    join wfg.runs r on r.id = d.run_id and r.state <> 'active'
   where s.run_id = d.run_id;

  delete from wfg.join_slots s
   using unnest(v_deltas) d
    join wfg.runs r on r.id = d.run_id and r.state <> 'active'
   where s.run_id = d.run_id;
end;
$$;

comment on function wfg.count_down_runs(wfg.ended_job[], timestamptz) is
'Take ended jobs off the counts of their runs, and end the runs that have none left.';
