create or replace function wfg.end_pause(p_pause wfg.pauses)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_id integer;
begin
  -- A snapshot of before would not show what claims have put aside since.
  if p_pause.kind = 'workflow' and current_setting('transaction_isolation') <> 'read committed' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'transaction_isolation: must be read committed: an old snapshot does not show what claims put aside',
      hint    = 'Resume in a transaction of its own.';
  end if;

  -- Waits for the claims that put jobs aside for it.
  delete from wfg.pauses p
   where p.namespace = wfg.namespace()
     and p.kind = p_pause.kind
     and p.workflow_id is not distinct from p_pause.workflow_id
     and p.labels is not distinct from p_pause.labels
  returning p.id
       into v_id;

  if not found then
    return false;
  end if;

  if p_pause.kind = 'workflow' then
    perform wfg.put_back(v_id);
  end if;

  perform wfg.apply_pauses();

  return true;
end;
$$;

comment on function wfg.end_pause(wfg.pauses) is
'End the pause of this kind, of the same; others stay in force. Whether there was one.';
