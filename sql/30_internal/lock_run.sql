create or replace function wfg.lock_run(p_run_id uuid)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_version_id constant bigint := (select r.version_id from wfg.runs r where r.id = p_run_id);
  v_locked              integer[];
begin
  perform 1
     from wfg.jobs j
     join wfg.job_specs s on s.version_id = v_version_id and s.job_no = j.job_no and not s.is_wide
    where j.run_id = p_run_id
      and j.state = 'queued'
    order by j.job_no
      for update of j;

  v_locked := array(
    select l.job_no
      from (
             select q.job_no
               from wfg.queue q
              where q.run_id = p_run_id
              order by q.job_no
                for update
           ) l
  );

  -- A wide job that ends is guarded by its queue row alone, and may have queued another one while we waited for it. Its
  -- row may lie below one that we hold: undo all locks, and begin again. With none left over, nothing here can move.
  if exists (select from wfg.queue q where q.run_id = p_run_id and q.job_no <> all (v_locked)) then
    raise sqlstate 'WFG01';
  end if;

  perform 1
     from wfg.jobs j
     join wfg.job_specs s on s.version_id = v_version_id and s.job_no = j.job_no and s.is_wide
    where j.run_id = p_run_id
      and j.state = 'queued'
    order by j.job_no
      for update of j;

  perform 1 from wfg.run_slots s where s.run_id = p_run_id order by s.slot for update;

  perform 1 from wfg.runs r where r.id = p_run_id for no key update;

  return true;
exception
  when sqlstate 'WFG01' then
    return false;
end;
$$;

comment on function wfg.lock_run(uuid) is
'Lock everything of a run that is still open, in the order of all transitions. False: it was outrun, holds
nothing, try again.';
