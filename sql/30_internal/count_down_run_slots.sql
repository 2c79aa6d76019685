create or replace function wfg.count_down_run_slots(p_ended wfg.ended_job[])
  returns wfg.job_delta[]
  language plpgsql
  volatile
as $$
declare
  v_deltas wfg.job_delta[];
begin
  perform 1
     from (
            select distinct e.run_id, (e.job_no % 16)::smallint as slot
              from unnest(p_ended) e
             where e.in_wide_run
          ) k
     join wfg.run_slots s on s.run_id = k.run_id and s.slot = k.slot
    order by s.run_id, s.slot
      for update of s;

  with counted as (
    update wfg.run_slots s
       set open_left = s.open_left - n.jobs
      from (
             select e.run_id, (e.job_no % 16)::smallint as slot, count(*)::integer as jobs
               from unnest(p_ended) e
              where e.in_wide_run
              group by 1, 2
           ) n
     where s.run_id = n.run_id
       and s.slot = n.slot
    returning s.run_id, s.open_left
  )
  select array_agg((z.run_id, null, z.slots)::wfg.job_delta)
    into v_deltas
    from (
           select c.run_id, count(*)::integer as slots
             from counted c
            where c.open_left = 0
            group by c.run_id
         ) z;

  return v_deltas;
end;
$$;

comment on function wfg.count_down_run_slots(wfg.ended_job[]) is
'Take ended jobs off the slots of their wide runs. Answers the runs with slots that became empty, and how many.';
