create or replace function wfg.note_home(p_now timestamptz)
  returns void
  language plpgsql
  volatile
as $$
begin
  -- Whoever else finds none will write the same: nobody waits for it.
  if not exists (select from wfg.homes)
     and pg_try_advisory_xact_lock(wfg.lock_class(), 3)
  then
    insert into wfg.homes
    select h.* from wfg.here(p_now) h
        on conflict do nothing;
  end if;
end;
$$;

comment on function wfg.note_home(timestamptz) is
'Write down which database this is, unless that is known: before there is any job.';
