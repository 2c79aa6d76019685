create or replace function wfg.check_paused_labels(p_labels jsonb)
  returns text[]
  language plpgsql
  immutable
as $$
declare
  v_labels constant text[] := wfg.sorted_labels(wfg.check_labels(p_labels));
begin
  if v_labels = '{}' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_labels: must be at least one label',
      hint    = 'wfg_freeze pauses everything, wfg_thaw ends that.';
  end if;

  if cardinality(v_labels) > 20 then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_labels: must be at most 20 labels',
      hint    = 'Fewer labels pause more jobs.';
  end if;

  if '' = any (v_labels) then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_labels: must not be empty texts',
      hint    = 'No job requires an empty label.';
  end if;

  return v_labels;
end;
$$;

comment on function wfg.check_paused_labels(jsonb) is
'The labels of a pause, sorted, distinct. Errors: 422 invalid_request.';
