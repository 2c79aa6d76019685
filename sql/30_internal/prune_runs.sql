create or replace function wfg.prune_runs(
  p_before timestamptz,
  p_limit  integer
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_runs uuid[];
begin
  -- A run with a queue row left has a cancelled lease that its worker may still acknowledge.
  v_runs := array(
    select r.id
      from wfg.runs r
     where r.finished_at < p_before
       and r.id < wfg.uuid_v7(p_before)     -- it was made before it ended: no look at what is younger
       and not exists (select from wfg.queue q where q.run_id = r.id)
     order by r.id
     limit p_limit
       for update skip locked
  );

  delete from wfg.jobs j using unnest(v_runs) k (run_id) where j.run_id = k.run_id;
  delete from wfg.runs r using unnest(v_runs) k (run_id) where r.id = k.run_id;

  return cardinality(v_runs);
end;
$$;

comment on function wfg.prune_runs(timestamptz, integer) is
'Delete up to p_limit runs that ended before, oldest first, with all that hangs on them. Answers how many.';
