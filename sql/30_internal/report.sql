create or replace function wfg.report(p_items wfg.report_item[])
  returns wfg.report_answer[]
  language plpgsql
  volatile
as $$
declare
  v_moves wfg.transition[];
  v_now   timestamptz;
begin
  -- What each report would do if its lease is live. Graphs are immutable, and so is the attempt of a lease: what is
  -- read here without a lock can only turn out to be over, never to be different.
  v_moves := wfg.plan_reports(case when cardinality(p_items) > 1 then wfg.first_reports(p_items) else p_items end);

  if v_moves is not null then
    perform wfg.lock_narrow_jobs(v_moves);
    perform wfg.lock_queue_rows(v_moves);

    v_now := wfg.now();
    v_moves := wfg.confirm_reports(v_moves, v_now);
    perform wfg.apply(v_moves, v_now);
    perform wfg.touch_worker(w.id, null, v_now)
       from (select distinct m.worker_id as id from unnest(v_moves) m) w;
  end if;

  return wfg.answer_reports(p_items, v_moves);
end;
$$;

comment on function wfg.report(wfg.report_item[]) is
$$Complete, fail and release, for one lease or many, in one transaction. An item whose lease does not hold
changes nothing.

Answers in the order of ord.$$;
