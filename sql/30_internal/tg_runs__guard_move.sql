create or replace function wfg.tg_runs__guard_move()
  returns trigger
  language plpgsql
as $$
declare
  v_rest wfg.runs := new;
begin
  v_rest.logs_pruned_at := old.logs_pruned_at;

  if new.logs_pruned_at is distinct from old.logs_pruned_at and v_rest is not distinct from old then
    return new;
  end if;

  raise sqlstate 'PT500' using
    message = 'illegal_move',
    detail  = format('run %s: %s -> %s', old.id, old.state, new.state),
    hint    = 'This is a bug in the engine: please report it.';
end;
$$;

comment on function wfg.tg_runs__guard_move() is 'Raise illegal_move: 40_triggers.sql lists the legal ones.';
