create or replace function wfg.count_down_and_end_runs(
  p_deltas wfg.job_delta[],
  p_now    timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  if cardinality(p_deltas) > 1 then
    perform 1
       from unnest(p_deltas) d
       join wfg.runs r on r.id = d.run_id
      order by r.id
        for no key update of r;
  end if;

  -- Whoever waits here for another session computes the row anew, and wfg.run_outcome reads in a fresh snapshot each
  -- time: so it sees the jobs that the other one ended.
  update wfg.runs r
     set open_left          = r.open_left - d.delta,
         state              = case when r.open_left > d.delta then r.state else wfg.run_outcome(r.id) end,
         finished_at        = case when r.open_left <= d.delta then p_now end,
         active_workflow_id = case when r.open_left > d.delta then r.active_workflow_id end
    from unnest(p_deltas) d
   where r.id = d.run_id;
end;
$$;

comment on function wfg.count_down_and_end_runs(wfg.job_delta[], timestamptz) is
'Lock these runs in id order, count each down by its delta, and end those that reach zero.';
