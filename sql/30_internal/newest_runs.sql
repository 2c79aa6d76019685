create or replace function wfg.newest_runs(p_limit integer)
  returns wfg.runs[]
  language plpgsql
  stable
as $$
declare
  v_runs   wfg.runs[] := '{}'::wfg.runs[];
  v_active integer := 0;
  v_id     uuid := wfg.max_uuid();
  v_run    wfg.runs;
begin
  if p_limit = 0 then
    return v_runs;
  end if;

  v_runs := wfg.runs_before(v_id, p_limit);

  -- An active run has something in the queue: walk its runs, one probe each.
  while v_active < p_limit loop
    select q.run_id into v_id from wfg.queue q where q.run_id < v_id order by q.run_id desc limit 1;

    exit when v_id is null;

    select r.* into v_run from wfg.runs r where r.id = v_id;

    if v_run.namespace = wfg.namespace() and v_run.state = 'active' then
      v_active := v_active + 1;

      if v_id <> all (array(select r.id from unnest(v_runs) r)) then
        v_runs := v_runs || v_run;
      end if;
    end if;
  end loop;

  return v_runs;
end;
$$;

comment on function wfg.newest_runs(integer) is
'The newest runs, and the newest active ones: so many of each.';
