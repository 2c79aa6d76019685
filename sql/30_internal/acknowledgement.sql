create or replace function wfg.acknowledgement(p_move wfg.transition)
  returns wfg.transition
  language plpgsql
  immutable
as $$
begin
  p_move.move := 'acknowledge';

  return p_move;
end;
$$;

comment on function wfg.acknowledgement(wfg.transition) is
'The same report, as the acknowledgement of a cancelled lease.';
