create or replace function wfg.count_down_runs(
  p_ended wfg.ended_job[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_any_wide boolean;
  v_deltas   wfg.job_delta[];
begin
  -- One job of a narrow run, or a batch: what there is to count is told apart in one pass.
  if cardinality(p_ended) = 1 and not p_ended[1].in_wide_run then
    v_deltas := array[(p_ended[1].run_id, null, 1)::wfg.job_delta];
  else
    select array_agg((n.run_id, null, n.jobs)::wfg.job_delta) filter (where not n.in_wide_run),
           bool_or(n.in_wide_run)
      into v_deltas, v_any_wide
      from (
             select e.run_id, e.in_wide_run, count(*)::integer as jobs
               from unnest(p_ended) e
              group by e.run_id, e.in_wide_run
           ) n;
  end if;

  if v_any_wide then
    v_deltas := v_deltas || wfg.count_down_run_slots(p_ended);
  end if;

  if v_deltas is not null then
    perform wfg.count_down_and_end_runs(v_deltas, p_now);
  end if;

  if v_any_wide and v_deltas is not null then
    perform wfg.drop_slots(v_deltas);
  end if;
end;
$$;

comment on function wfg.count_down_runs(wfg.ended_job[], timestamptz) is
'Take ended jobs off the counts of their runs, and end the runs that have none left.';
