create or replace function wfg.lock_run(p_run_id uuid)
  returns wfg.runs
  language plpgsql
  volatile
as $$
declare
  v_version_id constant bigint := (select r.version_id from wfg.runs r where r.id = p_run_id);
  v_locked              integer[] := '{}'::integer[];
  v_new                 integer[];
  v_run                 wfg.runs;
begin
  perform 1
     from wfg.jobs j
     join wfg.job_specs s on s.version_id = v_version_id and s.job_no = j.job_no and not s.is_wide
    where j.run_id = p_run_id
      and j.state = 'queued'
    order by j.job_no
      for update of j;

  -- A wide job that ends is guarded by its queue row, and may queue another one while we wait for it. Once a pass finds
  -- no row that is not locked yet, nothing of this run can move.
  loop
    v_new := array(
      select l.job_no
        from (
               select q.job_no
                 from wfg.queue q
                where q.run_id = p_run_id
                  and q.job_no <> all (v_locked)
                order by q.job_no
                  for update
             ) l
    );
    exit when v_new = '{}';
    v_locked := v_locked || v_new;
  end loop;

  perform 1
     from wfg.jobs j
     join wfg.job_specs s on s.version_id = v_version_id and s.job_no = j.job_no and s.is_wide
    where j.run_id = p_run_id
      and j.state = 'queued'
    order by j.job_no
      for update of j;

  perform 1 from wfg.run_slots s where s.run_id = p_run_id order by s.slot for update;

  select r.* into v_run from wfg.runs r where r.id = p_run_id for update;

  return v_run;
end;
$$;

comment on function wfg.lock_run(uuid) is
'Lock everything of a run that is still open, in the order of all transitions. Answers the run as it is then.';
