create or replace function wfg.add_label_set(
  p_labels text[],
  p_now    timestamptz
)
  returns wfg.label_sets
  language plpgsql
  volatile
as $$
declare
  v_set wfg.label_sets;
begin
  perform wfg.lock_lanes();

  insert into wfg.label_sets (namespace, labels, lane_ids, priorities, used_at, any_paused)
  select wfg.namespace(), p_labels,
         coalesce(array_agg(l.id order by l.priority desc, l.id), '{}'),
         coalesce(array_agg(l.priority order by l.priority desc, l.id), '{}'),
         date_trunc('hour', p_now),
         exists (select from wfg.pauses p where p.namespace = wfg.namespace() and p.workflow_id is not null)
    from wfg.lanes l
   where l.namespace = wfg.namespace()
     and wfg.takes(p_labels, l.labels)
     and not l.is_paused
      on conflict on constraint label_sets_distinct do nothing;

  -- Ours, or that of whoever had the lock before.
  select s.*
    into v_set
    from wfg.label_sets s
   where s.namespace = wfg.namespace()
     and s.labels = p_labels;

  return v_set;
end;
$$;

comment on function wfg.add_label_set(text[], timestamptz) is
'Insert a label set with the lanes it may take, but for paused ones. p_labels: sorted, distinct.';
