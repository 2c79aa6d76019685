create or replace function wfg.need_hint(
  p_name text,
  p_keys text[]
)
  returns text
  language plpgsql
  immutable
as $$
declare
  v_nearest text;
begin
  -- Of very many jobs only the likely ones are compared: a comparison takes about 50 microseconds.
  v_nearest := wfg.nearest_name(
    p_name,
    array(
      select k.key
        from unnest(p_keys) k (key)
       where cardinality(p_keys) <= 100
          or abs(length(k.key) - length(p_name)) <= 2
         and (left(k.key, 3) = left(p_name, 3) or right(k.key, 3) = right(p_name, 3))
       limit 100
    )
  );

  return coalesce('Did you mean ' || to_json(v_nearest) || '?', 'Write the key of a job of this workflow.');
end;
$$;

comment on function wfg.need_hint(text, text[]) is 'What to write instead of the name of a job that is not there.';
