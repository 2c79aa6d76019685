create or replace function wfg.release_children(
  p_moves  wfg.transition[],
  p_deltas wfg.job_delta[],
  p_now    timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_ready wfg.job_ref[];
begin
  with counted as (
    update wfg.jobs j
       set parents_left = j.parents_left - n.parents
      from (
             select m.run_id, c.job_no, count(*)::integer as parents
               from unnest(p_moves) m
              cross join lateral unnest(m.narrow_children) c (job_no)
              where m.move = 'success'
              group by m.run_id, c.job_no
             union all
             select d.run_id, d.job_no, d.delta
               from unnest(p_deltas) d
           ) n
     where j.run_id = n.run_id
       and j.job_no = n.job_no
       and j.state = 'queued'
    returning j.run_id, j.job_no, j.parents_left
  )
  select array_agg((c.run_id, c.job_no, false)::wfg.job_ref)
    into v_ready
    from counted c
   where c.parents_left = 0;

  if v_ready is not null then
    perform wfg.enqueue(v_ready, p_now);
  end if;
end;
$$;

comment on function wfg.release_children(wfg.transition[], wfg.job_delta[], timestamptz) is
'Count the children of the successes down (wide ones by the slots emptied), and queue those that wait for
nothing more.';
