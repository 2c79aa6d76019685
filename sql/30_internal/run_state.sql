create or replace function wfg.run_state(p_run_id uuid)
  returns text
  language plpgsql
  stable
as $$
declare
  v_state text;
begin
  select r.state into v_state from wfg.runs r where r.id = p_run_id;

  if v_state is distinct from 'active' then
    return v_state;
  end if;

  if exists (
       select
         from wfg.queue q
        where q.run_id = p_run_id
          and (q.lease_nonce is not null or q.attempt > 0)
     )
     or exists (
          select
            from wfg.jobs j
           where j.run_id = p_run_id
             and j.state <> 'queued'
             and not wfg.is_kept(j.state, j.lease_nonce)
        )
  then
    return 'running';
  end if;

  return 'queued';
end;
$$;

comment on function wfg.run_state(uuid) is
'A run''s state on the wire: queued until a job of it was first leased, then running to its end. Null: no such run.';
