create or replace function wfg.lower_marks(p_refs wfg.job_ref[])
  returns void
  language plpgsql
  volatile
as $$
begin
  if coalesce(cardinality(p_refs), 0) = 0 then
    return;
  end if;

  -- Never waits: a mark that cannot be lowered now is lowered by the next scan from the bottom.
  update wfg.lane_marks m
     set low_water_at = least(
           m.low_water_at,
           (
             select min(q.ready_at)
               from unnest(p_refs) r
               join wfg.queue q on q.run_id = any (array[r.run_id]) and q.job_no = r.job_no
              where q.lane_id = m.lane_id
           )
         )
   where m.lane_id in (
           select k.lane_id
             from wfg.lane_marks k
            where exists (
                    select
                      from unnest(p_refs) r
                      join wfg.queue q on q.run_id = any (array[r.run_id]) and q.job_no = r.job_no
                     where q.lane_id = k.lane_id
                       and q.ready_at < k.low_water_at
                  )
              for update skip locked
         );
end;
$$;

comment on function wfg.lower_marks(wfg.job_ref[]) is
'Tell the lanes of these queue rows, ready again since before, to start their claims that low.';
