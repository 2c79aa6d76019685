create or replace function wfg.lock_narrow_jobs(p_moves wfg.transition[])
  returns void
  language plpgsql
  volatile
as $$
declare
  v_move constant wfg.transition := p_moves[1];
  v_doomed        wfg.job_ref[];
begin
  -- One job with nothing behind it: a third of the time of the general statement.
  if cardinality(p_moves) = 1 and v_move.narrow_children || v_move.wide_children = '{}' then
    if not v_move.is_wide then
      perform 1 from wfg.jobs j where j.run_id = v_move.run_id and j.job_no = v_move.job_no for update;
    end if;

    return;
  end if;

  if exists (select from unnest(p_moves) m where m.move in ('failure', 'cancelled')) then
    v_doomed := wfg.doomed(p_moves);
  end if;

  -- The sort stands between the join and the locks: rows are locked in key order, whatever the plan.
  perform 1
     from (
            select m.run_id, m.job_no
              from unnest(p_moves) m
             where not m.is_wide
            union
            select m.run_id, c.job_no
              from unnest(p_moves) m
             cross join lateral unnest(m.narrow_children) c (job_no)
             where m.move = 'success'
            union
            select d.run_id, d.job_no
              from unnest(v_doomed) d
             where not d.is_wide
          ) k
     join wfg.jobs j on j.run_id = k.run_id and j.job_no = k.job_no
    order by j.run_id, j.job_no
      for update of j;
end;
$$;

comment on function wfg.lock_narrow_jobs(wfg.transition[]) is
'First lock of every transition: the narrow ones among its jobs, their children, and what a final failure skips.';
