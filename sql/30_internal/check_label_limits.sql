create or replace function wfg.check_label_limits(p_labels text[])
  returns void
  language plpgsql
  stable
as $$
begin
  perform wfg.refuse_over_limit('p_labels', cardinality(p_labels), 'labels', 'labels_per_worker');
  perform wfg.refuse_over_limit(
    'p_labels', (select max(length(l.label)) from unnest(p_labels) l (label)), 'characters each', 'label_chars'
  );
end;
$$;

comment on function wfg.check_label_limits(text[]) is
'Refuse labels of a worker that are too many or too long: 422 invalid_request.';
