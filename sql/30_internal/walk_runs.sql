create or replace function wfg.walk_runs(
  p_filter wfg.run_filter,
  p_before uuid,
  p_count  integer
)
  returns wfg.run_walk
  language plpgsql
  stable
  set enable_sort = off
as $$
declare
  v_queued uuid[];
  v_walk   wfg.run_walk;
begin
  -- An active run has something in the queue.
  if p_filter.state in ('queued', 'running') and p_filter.idempotency_key is null then
    v_queued := wfg.queued_runs_before(p_before, p_filter.from_id, p_count);
  end if;

  -- One of four ways to the same rows. A version is looked at once, however many runs it has.
  with walked as materialized (
    (
      select r.id, r.version_id, r.workflow_id, r.state, r.inputs, r.started_by
        from wfg.runs r
       where v_queued is null
         and p_filter.workflow_id is null
         and r.id < p_before
         and r.id >= p_filter.from_id
         and r.namespace || '' = wfg.namespace()   -- not by an index: they come in the order of their ids
       order by r.id desc
       limit p_count
    )
    union all
    (
      select r.id, r.version_id, r.workflow_id, r.state, r.inputs, r.started_by
        from wfg.runs r
       where v_queued is null
         and p_filter.workflow_id is not null
         and p_filter.idempotency_key is null
         -- As rows: only runs_of_workflow has them in this order, whatever the statistics say of one workflow.
         and (r.namespace, r.workflow_id, r.id) < (wfg.namespace(), p_filter.workflow_id, p_before)
         and (r.namespace, r.workflow_id, r.id) >= (wfg.namespace(), p_filter.workflow_id, p_filter.from_id)
       order by r.namespace desc, r.workflow_id desc, r.id desc
       limit p_count
    )
    union all
    (
      select r.id, r.version_id, r.workflow_id, r.state, r.inputs, r.started_by
        from wfg.runs r
       where r.namespace = wfg.namespace()
         and r.workflow_id = p_filter.workflow_id
         and r.idempotency_key = p_filter.idempotency_key
         and r.id < p_before
         and r.id >= p_filter.from_id
    )
    union all
    (
      select r.id, r.version_id, r.workflow_id, r.state, r.inputs, r.started_by
        from unnest(v_queued) q (id)
       cross join lateral (
               select i.*
                 from wfg.runs i
                where i.id = q.id
                  and i.state = 'active'
                  and i.namespace || '' = wfg.namespace()
               offset 0
             ) r
    )
  ),
  labelled as materialized (
    select v.version_id
      from (select distinct w.version_id from walked w) v
     where exists (
             select
               from wfg.job_specs s
              where s.version_id = v.version_id
                and p_filter.label = any (s.labels)
           )
  )
  select array_agg(w.id order by w.id desc) filter (
           where (p_filter.workflow_id is null or w.workflow_id = p_filter.workflow_id)
             and (p_filter.started_by is null or w.started_by = p_filter.started_by)
             and (p_filter.label is null or w.version_id in (select l.version_id from labelled l))
             and (p_filter.inputs is null or w.inputs @@ p_filter.inputs)
             and (
               p_filter.state is null
               or w.state = p_filter.state
               or p_filter.state in ('queued', 'running')
               and w.state = 'active'
               and wfg.run_state(w.id) = p_filter.state
             )
         ),
         count(*),
         (array_agg(w.id order by w.id))[1]
    into v_walk
    from walked w;

  if v_queued is not null then
    v_walk.walked := cardinality(v_queued);
    v_walk.last_id := v_queued[cardinality(v_queued)];
  end if;

  return v_walk;
end;
$$;

comment on function wfg.walk_runs(wfg.run_filter, uuid, integer) is
$$Look at the p_count newest runs below an id, or at the one of an idempotency key: those that match, newest first.

found is null when none does. Fewer walked than asked for: there are no more.$$;
