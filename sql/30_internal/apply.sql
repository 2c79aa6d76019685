create or replace function wfg.apply(
  p_moves wfg.transition[],
  p_now   timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_ends     wfg.transition[];
  v_requeues wfg.transition[];
  v_others   wfg.transition[];
begin
  select array_agg(m) filter (where m.move in ('success', 'failure')),
         array_agg(m) filter (where m.move in ('retry', 'release')),
         array_agg(m) filter (where m.move = 'acknowledge')
    into v_ends, v_requeues, v_others
    from unnest(p_moves) m;

  if v_ends is not null then
    perform wfg.settle(v_ends, p_now);
  end if;

  if v_requeues is not null then
    perform wfg.requeue(v_requeues, p_now);
  end if;

  if v_others is not null then
    perform wfg.acknowledge(v_others, p_now);
  end if;
end;
$$;

comment on function wfg.apply(wfg.transition[], timestamptz) is
'Carry out the moves of leases that hold, or are over: jobs end, are queued again, or a cancelled lease goes.';
