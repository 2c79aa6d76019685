create or replace function wfg.check_labels(p_labels jsonb)
  returns text[]
  language plpgsql
  stable
as $$
declare
  v_labels text[];
begin
  if p_labels = '[]' then
    return '{}'::text[];
  end if;

  if jsonb_typeof(p_labels) is distinct from 'array' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format(
        'p_labels: must be an array of labels, not %s',
        coalesce(jsonb_typeof(p_labels), 'null')
      ),
      hint    = 'Send [] for a worker without labels.';
  end if;

  if jsonb_path_exists(p_labels, 'strict $[*] ? (@.type() != "string")') then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = 'p_labels: every label must be a string',
      hint    = 'Quote the labels.';
  end if;

  v_labels := array(select l.label from jsonb_array_elements_text(p_labels) l (label));

  -- More than any limit allows. What is less is asked when a label set is new.
  if cardinality(v_labels) > 100 or exists (select from unnest(v_labels) l (label) where length(l.label) > 400) then
    perform wfg.check_label_limits(v_labels);
  end if;

  if octet_length(array_to_string(v_labels, '')) > wfg.max_label_bytes() then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = format('p_labels: must be at most %s bytes in all', wfg.max_label_bytes()),
      hint    = 'Write fewer labels, or shorter ones.';
  end if;

  return v_labels;
end;
$$;

comment on function wfg.check_labels(jsonb) is
'Labels, as sent: of a worker, or to be paused. Errors: 422 invalid_request.';
