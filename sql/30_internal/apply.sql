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
    from unnest(p_moves) m
   cross join lateral (
           select case
                    when m.move = 'retry' then nextval('wfg.total_retries')
                    when m.move = 'release' then nextval('wfg.total_releases')
                  end,
                  case
                    when m.move not in ('retry', 'failure') then null
                    when m.outcome = 'failure' then nextval('wfg.total_attempts_failure')
                    when m.outcome = 'lease_expired' then nextval('wfg.total_attempts_lease_expired')
                    when m.outcome = 'job_timed_out' then nextval('wfg.total_attempts_job_timed_out')
                  end
         ) counted;

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
