create or replace function wfg.trigger_text(p_on json)
  returns text
  language plpgsql
  immutable
as $$
begin
  return case json_typeof(p_on)
    when 'string' then 'on: ' || (p_on #>> '{}')
    when 'array' then
      (select 'on: [' || string_agg(e.name, ', ' order by e.no) || ']'
         from json_array_elements_text(p_on) with ordinality e (name, no))
    when 'object' then
      (select 'on: [' || string_agg(e.name, ', ' order by e.no) || ']'
         from json_object_keys(p_on) with ordinality e (name, no))
    else 'manual'
  end;
end;
$$;

comment on function wfg.trigger_text(json) is
'The display text of a file''s `on`: `on: push`, `on: [push, schedule]`; without one `manual`. It triggers nothing.';
