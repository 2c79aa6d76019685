create or replace function wfg.broken_definitions()
  returns table (invariant text, subject text, detail text)
  language plpgsql
  stable
as $$
begin
  return query
    select 'a workflow has its current version', format('workflow %s', w.id), format('version %s', w.version)
      from wfg.workflows w
     where not exists (
             select
               from wfg.workflow_versions v
              where v.namespace = w.namespace
                and v.workflow_id = w.id
                and v.version = w.version
           )
    union all
    select 'a version has the jobs that it counts', format('version %s', v.id), format('%s', v.job_count)
      from wfg.workflow_versions v
     where v.job_count <> (select count(*) from wfg.job_specs s where s.version_id = v.id)
    union all
    select 'children and parents name each other', format('version %s', e.version_id),
           format('job %s needs job %s', e.child, e.parent)
      from (
             (
               select s.version_id, p.job_no as parent, s.job_no as child, s.is_wide
                 from wfg.job_specs s
                cross join lateral unnest(s.parents) p (job_no)
               except
               select s.version_id, s.job_no, c.job_no, c.is_wide
                 from wfg.job_specs s
                cross join lateral (
                        select n.job_no, false from unnest(s.narrow_children) n (job_no)
                        union all
                        select w.job_no, true from unnest(s.wide_children) w (job_no)
                      ) c (job_no, is_wide)
             )
             union all
             (
               select s.version_id, s.job_no, c.job_no, null::boolean
                 from wfg.job_specs s
                cross join lateral unnest(s.narrow_children || s.wide_children) c (job_no)
               except
               select s.version_id, p.job_no, s.job_no, null::boolean
                 from wfg.job_specs s
                cross join lateral unnest(s.parents) p (job_no)
             )
           ) e
    union all
    select 'a label set has all the lanes that it may take and that are not paused, highest priority first',
           format('label set %s', l.id), format('lanes %s', l.lane_ids)
      from wfg.label_sets l
     where l.lane_ids is distinct from array(
             select n.id
               from wfg.lanes n
              where n.namespace = l.namespace
                and wfg.takes(l.labels, n.labels)
                and not n.is_paused
              order by n.priority desc, n.id
           )
        or l.priorities is distinct from array(
             select n.priority
               from wfg.lanes n
              where n.namespace = l.namespace
                and wfg.takes(l.labels, n.labels)
                and not n.is_paused
              order by n.priority desc, n.id
           )
    union all
    select 'a lane is paused by its labels, or with everything',
           format('lane %s', l.id), format('%s', l.is_paused)
      from wfg.lanes l
     where l.is_paused <> (wfg.pause_of(null, l.labels) is not null)
    union all
    select 'a label set knows whether a workflow is paused', format('label set %s', l.id), format('%s', l.any_paused)
      from wfg.label_sets l
     where l.any_paused <> exists (
             select from wfg.pauses p where p.namespace = l.namespace and p.workflow_id is not null
           );
end;
$$;

comment on function wfg.broken_definitions() is 'The part of wfg_check about workflows, versions, lanes and
label sets.';
