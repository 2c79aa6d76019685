create or replace function wfg.env_object(p_env json)
  returns jsonb
  language plpgsql
  immutable
as $$
begin
  if p_env is null then
    return '{}'::jsonb;
  end if;

  -- json, not jsonb: a number keeps the text it was written with.
  return (select coalesce(jsonb_object_agg(e.name, e.value), '{}') from json_each_text(p_env) e (name, value));
end;
$$;

comment on function wfg.env_object(json) is
'An env of a file as an object of strings, numbers and booleans by their source text. Null: {}.';
