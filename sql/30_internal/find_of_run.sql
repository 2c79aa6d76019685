create or replace function wfg.find_of_run(
  p_run    wfg.runs,
  p_filter wfg.job_filter,
  p_after  integer,
  p_limit  integer,
  p_now    timestamptz
)
  returns wfg.job_walk
  language plpgsql
  stable
as $$
declare
  v_found wfg.job_ref[];
begin
  v_found := array(
    select (p_run.id, s.job_no, null)::wfg.job_ref
      from wfg.job_specs s
     cross join lateral (
             select i.*
               from wfg.jobs i
              where i.run_id = p_run.id
                and i.job_no = s.job_no
             offset 0
           ) j
      left join lateral (
             select i as entry
               from wfg.queue i
              where i.run_id = p_run.id
                and i.job_no = s.job_no
                and i.cancelled_at is null
             offset 0
           ) q on true
     where s.version_id = p_run.version_id
       and s.job_no > p_after
       and (p_filter.workflow_id is null or p_filter.workflow_id = p_run.workflow_id)
       and (p_filter.label is null or p_filter.label = any (s.labels))
       and (p_filter.worker_id is null or p_filter.worker_id = coalesce((q.entry).worker_id, j.worker_id))
       and (
         p_filter.state is null
         or p_filter.state = wfg.job_state(j.state, (q.entry).lease_nonce)
         or j.state = 'queued' and p_filter.state = wfg.waits_for(q.entry, p_now)
       )
     order by s.job_no
     limit p_limit + 1
  );

  return (v_found, cardinality(v_found), null)::wfg.job_walk;
end;
$$;

comment on function wfg.find_of_run(wfg.runs, wfg.job_filter, integer, integer, timestamptz) is
'As wfg.find_queued, of the jobs of a run with numbers above p_after, in ascending order.';
