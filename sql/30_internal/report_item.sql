create or replace function wfg.report_item(
  p_lease_id  text,
  p_outcome   text,
  p_outputs   jsonb,
  p_error     text,
  p_retryable boolean
)
  returns wfg.report_item
  language plpgsql
  immutable
as $$
begin
  if wfg.is_lease_id(p_lease_id) then
    return (
      1,
      split_part(p_lease_id, '.', 1)::uuid,
      split_part(p_lease_id, '.', 2)::integer,
      split_part(p_lease_id, '.', 3)::uuid,
      p_outcome, p_outputs, p_error, p_retryable
    )::wfg.report_item;
  end if;

  return (1, null, null, null, p_outcome, p_outputs, p_error, p_retryable)::wfg.report_item;
end;
$$;

comment on function wfg.report_item(text, text, jsonb, text, boolean) is
'A lone report with its lease id taken apart (null when it is not of our form), as wfg.read_reports does for many.';
