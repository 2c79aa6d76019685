create or replace function wfg.tg_runs__announce_end()
  returns trigger
  language plpgsql
as $$
begin
  perform wfg.announce('wfg_runs', 0);

  return null;
end;
$$;

comment on function wfg.tg_runs__announce_end() is
'A run ended: whoever watches runs compares again. Channel wfg_runs.';
