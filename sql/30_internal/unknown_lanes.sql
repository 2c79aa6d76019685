create or replace function wfg.unknown_lanes(p_definition jsonb)
  returns wfg.lanes[]
  language plpgsql
  stable
as $$
begin
  return array(
    select row(null, wfg.namespace(), w.labels, w.priority, false)::wfg.lanes
      from (
        select distinct
               wfg.sorted_labels(array(select jsonb_array_elements_text(j.job -> 'labels'))) as labels,
               (j.job -> 'priority')::integer as priority
          from jsonb_array_elements(p_definition -> 'jobs') j (job)
      ) w
     where not exists (
             select
               from wfg.lanes l
              where l.namespace = wfg.namespace()
                and l.labels = w.labels
                and l.priority = w.priority
           )
  );
end;
$$;

comment on function wfg.unknown_lanes(jsonb) is
'The lanes that the jobs of a normal form need and that are not there yet.';
