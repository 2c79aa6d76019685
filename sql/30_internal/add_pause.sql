create or replace function wfg.add_pause(p_pause wfg.pauses)
  returns wfg.pauses
  language plpgsql
  volatile
as $$
declare
  v_pause wfg.pauses;
begin
  -- A conflict is with a pause that is committed; by the next statement it may be over, and the way free again.
  while v_pause.id is null loop
    insert into wfg.pauses (namespace, kind, workflow_id, labels, paused_at, paused_by, reason)
    values (
      wfg.namespace(), p_pause.kind, p_pause.workflow_id, p_pause.labels, wfg.now(), p_pause.paused_by, p_pause.reason
    )
        on conflict do nothing
    returning * into v_pause;

    if found then
      if v_pause.workflow_id is not null then
        perform wfg.put_workflow_aside(v_pause);
      end if;

      perform wfg.apply_pauses();
    else
      select p.*
        into v_pause
        from wfg.pauses p
       where p.namespace = wfg.namespace()
         and p.kind = p_pause.kind
         and p.workflow_id is not distinct from p_pause.workflow_id
         and p.labels is not distinct from p_pause.labels;
    end if;
  end loop;

  return v_pause;
end;
$$;

comment on function wfg.add_pause(wfg.pauses) is
$$Pause: kind, what, who and why as given. Answers the pause, or the one of the same that was in force before.

Claims that begin once this is committed hand out nothing of it. It waits for no job and no lease.$$;
