create or replace function wfg.pause_after_look(p_took interval)
  returns interval
  language sql
  immutable
  parallel safe
as $$
  select greatest(interval '1 second', least(p_took * 20, interval '8 seconds'));
$$;

comment on function wfg.pause_after_look(interval) is
'After a look at lanes from the bottom that took so long, idle workers leave it for 20 times that: a second to 8.';
