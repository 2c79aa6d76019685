create or replace function wfg.try_lock_queue_rows(p_moves wfg.transition[])
  returns boolean
  language plpgsql
  volatile
as $$
declare
  v_locked integer;
begin
  select count(*)
    into v_locked
    from (
           select
             from unnest(p_moves) m
             join wfg.queue q on q.run_id = any (array[m.run_id]) and q.job_no = m.job_no
              for update of q skip locked
         ) l;

  return v_locked = cardinality(p_moves);
end;
$$;

comment on function wfg.try_lock_queue_rows(wfg.transition[]) is
'Lock these leases without waiting. False: some are locked, or gone.';
