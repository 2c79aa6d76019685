create or replace function wfg.lock_queue_rows(p_moves wfg.transition[])
  returns void
  language plpgsql
  volatile
as $$
declare
  v_holding wfg.job_ref[];
begin
  if wfg.any_cancelled_lease() then
    v_holding := wfg.holding_leases(p_moves);
  end if;

  if cardinality(p_moves) = 1 and v_holding is null then
    perform 1 from wfg.queue q where q.run_id = p_moves[1].run_id and q.job_no = p_moves[1].job_no for update;

    return;
  end if;

  perform 1
     from (
            select m.run_id, m.job_no from unnest(p_moves) m
            union
            select h.run_id, h.job_no from unnest(v_holding) h
          ) k
     join wfg.queue q on q.run_id = any (array[k.run_id]) and q.job_no = k.job_no
    order by k.run_id, k.job_no
      for update of q;

  if v_holding is not null then
    perform wfg.mark_holding(v_holding);
  end if;
end;
$$;

comment on function wfg.lock_queue_rows(wfg.transition[]) is
'Second lock of a transition: its leases, and the cancelled leases that hold back what it may queue.';
