create or replace function wfg.json_size(p_value json)
  returns bigint
  language plpgsql
  immutable
as $$
begin
  return case json_typeof(p_value)
    when 'array' then json_array_length(p_value)
    when 'object' then (select count(*) from json_object_keys(p_value))
  end;
end;
$$;

comment on function wfg.json_size(json) is 'How many members a list or mapping has; null for anything else.';
