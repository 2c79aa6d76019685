create or replace function wfg.nearest_name(
  p_name  text,
  p_names text[]
)
  returns text
  language plpgsql
  immutable
as $$
declare
  v_name     constant text := lower(left(p_name, 40));
  v_most              integer := (length(v_name) + 1) / 2;
  v_candidate         text;
  v_distance          integer;
  v_nearest           text;
begin
  foreach v_candidate in array coalesce(p_names, '{}') loop
    continue when v_candidate is null or abs(length(v_candidate) - length(v_name)) > v_most;

    v_distance := wfg.edit_distance(v_name, lower(v_candidate));

    if v_distance <= v_most then
      v_nearest := v_candidate;
      v_most := v_distance - 1;
    end if;
  end loop;

  return v_nearest;
end;
$$;

comment on function wfg.nearest_name(text, text[]) is
'The first of the names most like a mistyped one; null when more than half of its characters differ.';
