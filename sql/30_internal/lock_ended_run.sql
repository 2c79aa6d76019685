create or replace function wfg.lock_ended_run(p_run_id uuid)
  returns void
  language plpgsql
  volatile
as $$
declare
  v_state text;
begin
  -- The weakest lock there is: prune passes by what it is on, and nobody waits for it.
  select r.state into v_state from wfg.runs r where r.id = p_run_id for key share;

  if not found then
    perform wfg.known_run(p_run_id::text);   -- raises run_not_found
  end if;

  if v_state = 'active' then
    perform wfg.refuse_old_snapshot(p_run_id, null);

    raise sqlstate 'PT409' using
      message = 'run_not_finished',
      detail  = format('Run %s has not ended.', p_run_id),
      hint    = 'Wait for its end, or cancel it.';
  end if;
end;
$$;

comment on function wfg.lock_ended_run(uuid) is
'Keep a run that has ended from being pruned. Errors: 404 run_not_found; 409 run_not_finished.';
