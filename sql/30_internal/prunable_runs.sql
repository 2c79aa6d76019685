create or replace function wfg.prunable_runs(
  p_before timestamptz,
  p_keep   integer,
  p_limit  integer
)
  returns uuid[]
  language plpgsql
  volatile
as $$
declare
  v_last     constant uuid := wfg.uuid_v7(p_before);   -- made before it ended: no look at what is younger
  v_runs              uuid[] := '{}'::uuid[];
  v_workflow          record;
  v_kept              uuid;
begin
  -- A run with a queue row left has a cancelled lease that its worker may still acknowledge.
  if p_keep = 0 then
    return array(
      select r.id
        from wfg.runs r
       where r.finished_at < p_before
         and r.id < v_last
         and not exists (select from wfg.queue q where q.run_id = r.id)
       order by r.id
       limit p_limit
         for update skip locked
    );
  end if;

  -- A workflow's runs are a range of runs_of_workflow. Said as rows, it is no walk over all runs by their ids, whatever
  -- the statistics say.
  for v_workflow in
    select w.namespace, w.id
      from wfg.workflows w
     where exists (
             select
               from wfg.runs r
              where (r.namespace, r.workflow_id, r.id) >= (w.namespace, w.id, wfg.min_uuid())
                and (r.namespace, r.workflow_id, r.id) < (w.namespace, w.id, v_last)
           )
     order by w.namespace, w.id
  loop
    -- The oldest of those to be kept. One look at each of them, and none at what lies below.
    v_kept := (
      select r.id
        from wfg.runs r
       where (r.namespace, r.workflow_id, r.id) >= (v_workflow.namespace, v_workflow.id, wfg.min_uuid())
         and (r.namespace, r.workflow_id, r.id) < (v_workflow.namespace, v_workflow.id, wfg.max_uuid())
         and r.finished_at is not null
       order by r.namespace desc, r.workflow_id desc, r.id desc
      offset p_keep - 1
       limit 1
    );

    v_runs := v_runs || array(
      select r.id
        from wfg.runs r
       where (r.namespace, r.workflow_id, r.id) >= (v_workflow.namespace, v_workflow.id, wfg.min_uuid())
         and (r.namespace, r.workflow_id, r.id) < (v_workflow.namespace, v_workflow.id, least(v_kept, v_last))
         and r.finished_at < p_before
         and v_kept is not null
         and not exists (select from wfg.queue q where q.run_id = r.id)
       order by r.namespace, r.workflow_id, r.id
       limit p_limit - cardinality(v_runs)
         for update skip locked
    );

    exit when cardinality(v_runs) = p_limit;
  end loop;

  return v_runs;
end;
$$;

comment on function wfg.prunable_runs(timestamptz, integer, integer) is
$$Up to p_limit runs that ended before and are not among the newest p_keep ended ones of their workflow, locked: those
that somebody else has locked are left out. Oldest first, with p_keep workflow by workflow.$$;
