create or replace function wfg.tg_jobs__guard_move()
  returns trigger
  language plpgsql
as $$
begin
  raise sqlstate 'PT500' using
    message = 'illegal_move',
    detail  = format('job %s of run %s: %s -> %s', old.job_no, old.run_id, old.state, new.state),
    hint    = 'This is a bug in the engine: please report it.';
end;
$$;

comment on function wfg.tg_jobs__guard_move() is 'Raise illegal_move: 40_triggers.sql lists the legal ones.';
