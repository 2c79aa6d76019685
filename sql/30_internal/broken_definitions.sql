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
    select 'children and parents name each other', format('version %s job %s', s.version_id, s.job_no),
           format('parents %s', s.parents)
      from wfg.job_specs s
     where array(select n.job_no from unnest(s.parents) n (job_no) order by 1) is distinct from array(
             select p.job_no
               from wfg.job_specs p
              where p.version_id = s.version_id
                and s.job_no = any (case when s.is_wide then p.wide_children else p.narrow_children end)
              order by p.job_no
           )
    union all
    select 'a label set has all the lanes that it may take, highest priority first', format('label set %s', l.id),
           format('lanes %s', l.lane_ids)
      from wfg.label_sets l
     where l.lane_ids is distinct from array(
             select n.id
               from wfg.lanes n
              where n.namespace = l.namespace
                and n.labels <@ l.labels
              order by n.priority desc, n.id
           )
        or l.priorities is distinct from array(
             select n.priority
               from wfg.lanes n
              where n.namespace = l.namespace
                and n.labels <@ l.labels
              order by n.priority desc, n.id
           );
end;
$$;

comment on function wfg.broken_definitions() is 'The part of wfg_check about workflows, versions, lanes and
label sets.';
