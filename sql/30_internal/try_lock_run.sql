create or replace function wfg.try_lock_run(
  p_run_id uuid,
  p_slots  smallint[]
)
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
             from unnest(p_slots) k (slot)
             join wfg.run_slots s on s.run_id = p_run_id and s.slot = k.slot
              for update of s skip locked
         ) l;

  if v_locked < coalesce(cardinality(p_slots), 0) then
    return false;
  end if;

  perform 1 from wfg.runs r where r.id = p_run_id for no key update skip locked;

  return found;
end;
$$;

comment on function wfg.try_lock_run(uuid, smallint[]) is
'Lock a run, with these of its slots, without waiting. p_slots: null when it is not wide. False: some are locked.';
