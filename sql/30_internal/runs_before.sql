create or replace function wfg.runs_before(
  p_before      uuid,
  p_workflow_id text,
  p_state       text,
  p_limit       integer
)
  returns wfg.runs[]
  language plpgsql
  stable
  set enable_sort = off
as $$
begin
  if p_workflow_id is null then
    return array(
      select r
        from wfg.runs r
       where r.id < p_before
         and r.namespace || '' = wfg.namespace()   -- not by an index: they come in the order of their ids
         and (p_state is null or r.state = p_state)
       order by r.id desc
       limit p_limit
    );
  end if;

  return array(
    select r
      from wfg.runs r
     where r.namespace = wfg.namespace()
       and r.workflow_id = p_workflow_id
       and r.id < p_before
       and (p_state is null or r.state = p_state)
     order by r.id desc
     limit p_limit
  );
end;
$$;

comment on function wfg.runs_before(uuid, text, text, integer) is
'Runs with smaller ids, newest first. p_workflow_id, p_state (as stored): null for all.';
