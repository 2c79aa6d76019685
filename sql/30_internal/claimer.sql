create or replace function wfg.claimer(
  p_worker_id text,
  p_labels    text[]
)
  returns wfg.claimer
  language plpgsql
  volatile
as $$
declare
  v_labels constant text[] := wfg.sorted_labels(p_labels);
  v_claimer         wfg.claimer;
begin
  select s.lane_ids, s.priorities, s.used_at,
         m.low_water_at, m.look_at, m.refreshed_at,
         w.labels, w.last_seen_at, s.any_paused
    into v_claimer
    from wfg.label_sets s
    left join wfg.lane_marks m on m.lane_id = s.lane_ids[1]
    left join wfg.workers w on w.namespace = s.namespace and w.id = p_worker_id
   where s.namespace = wfg.namespace()
     and s.labels = v_labels;

  return v_claimer;
end;
$$;

comment on function wfg.claimer(text, text[]) is
'What is known of a worker with these labels, read at once: a null row when its label set is new.';
