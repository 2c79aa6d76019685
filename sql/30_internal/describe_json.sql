create or replace function wfg.describe_json(p_value json)
  returns text
  language plpgsql
  immutable
as $$
begin
  return case json_typeof(p_value)
    when 'string' then 'the string ' || wfg.shorten(p_value::text)
    when 'number' then 'the number ' || wfg.shorten(p_value::text)
    when 'array' then 'a list'
    when 'object' then 'a mapping'
    else p_value::text          -- true, false, null
  end;
end;
$$;

comment on function wfg.describe_json(json) is 'What was found, in words: "the string "abc"", "a list".';
