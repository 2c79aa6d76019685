create or replace function wfg.convert_input(
  p_input jsonb,
  p_value jsonb
)
  returns jsonb
  language plpgsql
  immutable
as $$
declare
  v_text constant text := p_value #>> '{}';
begin
  -- Numbers and booleans may come as text: a command line has nothing else.
  return case p_input ->> 'type'
    when 'string' then
      case when jsonb_typeof(p_value) = 'string' then p_value end
    when 'number' then
      case
        when jsonb_typeof(p_value) = 'number' then p_value
        when jsonb_typeof(p_value) = 'string'
          and v_text ~ '^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$'
          then to_jsonb(v_text::numeric)
      end
    when 'boolean' then
      case
        when jsonb_typeof(p_value) = 'boolean' then p_value
        when jsonb_typeof(p_value) = 'string' and v_text in ('true', 'false') then to_jsonb(v_text::boolean)
      end
    when 'choice' then
      case when p_input -> 'options' @> jsonb_build_array(p_value) then p_value end
  end;
end;
$$;

comment on function wfg.convert_input(jsonb, jsonb) is
'An input''s value in its declared type; null when it cannot be. p_input: an element of the definition''s inputs.';
