create or replace function wfg.label_set(
  p_labels text[],
  p_now    timestamptz
)
  returns wfg.label_sets
  language plpgsql
  volatile
as $$
declare
  v_labels constant text[] := wfg.sorted_labels(p_labels);
  v_set             wfg.label_sets;
begin
  select s.*
    into v_set
    from wfg.label_sets s
   where s.namespace = wfg.namespace()
     and s.labels = v_labels;

  if not found then
    perform wfg.check_label_limits(p_labels);

    return wfg.add_label_set(v_labels, p_now);
  end if;

  -- Not worth waiting for: another session is about to say the same.
  if v_set.used_at < p_now - interval '1 hour' then
    update wfg.label_sets s
       set used_at = date_trunc('hour', p_now)
     where s.id = (select l.id from wfg.label_sets l where l.id = v_set.id for update skip locked);
  end if;

  return v_set;
end;
$$;

comment on function wfg.label_set(text[], timestamptz) is
$$A worker's label set, with the lanes it may take: lane_ids, and priorities in the same order, highest first.

A known one takes no lock; an unknown one is inserted, if limits allow it. Errors: 422 invalid_request.$$;
