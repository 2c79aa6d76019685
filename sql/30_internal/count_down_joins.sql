create or replace function wfg.count_down_joins(p_moves wfg.transition[])
  returns wfg.job_delta[]
  language plpgsql
  volatile
as $$
declare
  v_deltas wfg.job_delta[];
begin
  perform 1
     from (
            select distinct m.run_id, c.job_no, (m.job_no % 16)::smallint as slot
              from unnest(p_moves) m
             cross join lateral unnest(m.wide_children) c (job_no)
             where m.move = 'success'
          ) k
     join wfg.join_slots s on s.run_id = k.run_id and s.job_no = k.job_no and s.slot = k.slot
    order by s.run_id, s.job_no, s.slot
      for update of s;

  with counted as (
    update wfg.join_slots s
       set parents_left = s.parents_left - n.parents
      from (
             select m.run_id, c.job_no, (m.job_no % 16)::smallint as slot, count(*)::integer as parents
               from unnest(p_moves) m
              cross join lateral unnest(m.wide_children) c (job_no)
              where m.move = 'success'
              group by 1, 2, 3
           ) n
     where s.run_id = n.run_id
       and s.job_no = n.job_no
       and s.slot = n.slot
    returning s.run_id, s.job_no, s.parents_left
  )
  select array_agg((e.run_id, e.job_no, e.slots)::wfg.job_delta)
    into v_deltas
    from (
           select c.run_id, c.job_no, count(*)::integer as slots
             from counted c
            where c.parents_left = 0
            group by c.run_id, c.job_no
         ) e;

  return v_deltas;
end;
$$;

comment on function wfg.count_down_joins(wfg.transition[]) is
'Take the successes off the slots of their wide children. Answers the wide jobs with slots that became empty,
and how many.';
