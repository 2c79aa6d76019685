create or replace function wfg.key_hint(
  p_level text,
  p_key   text
)
  returns text
  language plpgsql
  immutable
as $$
declare
  v_keys    constant text[] := array(
    select k.key from wfg.known_keys() k where k.level = p_level and k.types <> '{}'
  );
  v_nearest constant text := wfg.nearest_name(p_key, v_keys);
begin
  return coalesce('Did you mean ' || v_nearest || '? ', '')
    || 'Known keys: ' || array_to_string(v_keys, ', ') || '.';
end;
$$;

comment on function wfg.key_hint(text, text) is
'What to write instead of an unknown key: the nearest known one, and all.';
