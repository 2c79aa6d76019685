create or replace function wfg.count_down_join(
  p_run_id uuid,
  p_parent integer,
  p_job_no integer
)
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_left integer;
begin
  update wfg.join_slots s
     set parents_left = s.parents_left - 1
   where s.run_id = p_run_id
     and s.job_no = p_job_no
     and s.slot = p_parent % 16
  returning s.parents_left
       into v_left;

  if v_left > 0 is not false then
    return false;
  end if;

  update wfg.jobs j
     set parents_left = j.parents_left - 1
   where j.run_id = p_run_id
     and j.job_no = p_job_no
     and j.state = 'queued'
  returning j.parents_left
       into v_left;

  return found and v_left = 0;
end;
$$;

comment on function wfg.count_down_join(uuid, integer, integer) is
'Take one success off the slot of a wide child, and an emptied slot off the child. Whether it is ready now.';
