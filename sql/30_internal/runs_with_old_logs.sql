create or replace function wfg.runs_with_old_logs(
  p_before timestamptz,
  p_limit  integer
)
  returns uuid[]
  language plpgsql
  volatile
as $$
declare
  v_last constant uuid := wfg.uuid_v7(p_before);
  v_runs          uuid[] := '{}'::uuid[];
  v_id            uuid := wfg.min_uuid();
begin
  -- A loose index scan: one probe of the key per run that has a log, and one for the run.
  loop
    v_id := (
      select c.run_id
        from wfg.log_chunks c
       where c.run_id > v_id
         and c.run_id < v_last
       order by c.run_id
       limit 1
    );

    exit when v_id is null;

    perform 1
       from wfg.runs r
      where r.id = v_id
        and r.finished_at < p_before
        and not exists (select from wfg.queue q where q.run_id = r.id)
        for update skip locked;

    if found then
      v_runs := v_runs || v_id;   -- in place: two arrays would be copied each time
    end if;

    exit when cardinality(v_runs) = p_limit;
  end loop;

  return v_runs;
end;
$$;

comment on function wfg.runs_with_old_logs(timestamptz, integer) is
'Up to p_limit runs that ended before and still have logs, oldest first, locked: but for those that somebody else has.';
