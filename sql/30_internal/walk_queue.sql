create or replace function wfg.walk_queue(
  p_filter wfg.job_filter,
  p_before wfg.job_ref,
  p_count  integer,
  p_now    timestamptz
)
  returns wfg.job_walk
  language plpgsql
  stable
  set enable_sort = off
as $$
declare
  v_walk wfg.job_walk;
begin
  with walked as materialized (
    select q as entry
      from wfg.queue q
     where (q.run_id, q.job_no) < (p_before.run_id, p_before.job_no)
     order by q.run_id desc, q.job_no desc
     limit p_count
  ),
  judged as (
    select (w.entry).run_id,
           (w.entry).job_no,
           (w.entry).cancelled_at is null
             and (
               p_filter.lane_ids is null
               or (w.entry).lane_id = any (p_filter.lane_ids)
               or (w.entry).lane_id < 0 and (     -- put aside
                    select s.lane_id
                      from wfg.job_specs s
                     where s.version_id = (w.entry).version_id
                       and s.job_no = (w.entry).job_no
                  ) = any (p_filter.lane_ids)
             )
             and (
               p_filter.state is null
               or p_filter.state = wfg.job_state('queued', (w.entry).lease_nonce)
               or p_filter.state = wfg.waits_for(w.entry, p_now)
             )
             and (
               p_filter.workflow_id is null
               or p_filter.workflow_id = (
                 select v.workflow_id
                   from wfg.workflow_versions v
                  where v.id = (w.entry).version_id
               )
             ) as matches
      from walked w
  )
  select array_agg((j.run_id, j.job_no, null)::wfg.job_ref order by j.run_id desc, j.job_no desc) filter (
           where j.matches
         ),
         count(*),
         (array_agg((j.run_id, j.job_no, null)::wfg.job_ref order by j.run_id, j.job_no))[1]
    into v_walk
    from judged j;

  return v_walk;
end;
$$;

comment on function wfg.walk_queue(wfg.job_filter, wfg.job_ref, integer, timestamptz) is
$$Look at the p_count entries of the queue before one, by their keys: those that match, in descending order.

found is null when none does. Fewer walked than asked for: there are no more.$$;
