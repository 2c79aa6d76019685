create or replace function wfg.count_down_and_end_runs(
  p_deltas wfg.job_delta[],
  p_now    timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_any_ended boolean;
begin
  if cardinality(p_deltas) = 1 then
    perform wfg.count_down_run(p_deltas[1].run_id, p_deltas[1].delta, p_now);

    return;
  end if;

  perform 1
     from unnest(p_deltas) d
     join wfg.runs r on r.id = d.run_id
    order by r.id
      for no key update of r;

  -- A new statement, and so a new snapshot: it sees the jobs of whoever held these locks before. The outcome is that of
  -- wfg.run_outcome, whose call would be a statement for each run.
  with counted as (
    update wfg.runs r
       set open_left          = r.open_left - d.delta,
           state              = case
             when r.open_left > d.delta then r.state
             when exists (
                  select
                    from wfg.jobs j
                   where j.run_id = r.id
                     and j.state in ('failure', 'cancelled')
                )
             then 'failure'
             else 'success'
           end,
           finished_at        = case when r.open_left <= d.delta then p_now end,
           active_workflow_id = case when r.open_left > d.delta then r.active_workflow_id end
      from unnest(p_deltas) d
     where r.id = d.run_id
    returning r.state,
              case r.state
                when 'success' then nextval('wfg.total_runs_success')
                when 'failure' then nextval('wfg.total_runs_failure')
              end
  )
  select bool_or(c.state <> 'active') into v_any_ended from counted c;

  if v_any_ended then
    perform wfg.announce('wfg_runs', 0);
  end if;
end;
$$;

comment on function wfg.count_down_and_end_runs(wfg.job_delta[], timestamptz) is
'Lock these runs in id order, count each down by its delta, and end those that reach zero.';
