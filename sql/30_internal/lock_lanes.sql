create or replace function wfg.lock_lanes()
  returns void
  language plpgsql
  volatile
  set lock_timeout = 0                -- a claim that meets a new label set does wait for this
as $$
begin
  -- Who inserts a lane reads the label sets, who inserts a label set reads the lanes: one at a time, or two of
  -- them miss each other, and those workers never see that lane. Reading is for a statement after this one.
  perform pg_advisory_xact_lock(wfg.lock_class(), 1);

  -- Under REPEATABLE READ such a statement would still see the past. This one then fails instead, with 40001.
  update wfg.lanes l
     set priority = l.priority
   where l.id = (select min(f.id) from wfg.lanes f);
end;
$$;

comment on function wfg.lock_lanes() is
'The right to insert lanes and label sets, until the transaction ends. Known ones need no lock.';
