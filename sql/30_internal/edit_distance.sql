create or replace function wfg.edit_distance(
  p_a text,
  p_b text
)
  returns integer
  language plpgsql
  immutable
as $$
declare
  v_a    constant text[] := string_to_array(p_a, null);
  v_b    constant text[] := string_to_array(p_b, null);
  v_above         integer[] := array(select generate_series(0, cardinality(v_b)));
  v_row           integer[];
begin
  for i in 1 .. cardinality(v_a) loop
    v_row := array[i];

    for j in 1 .. cardinality(v_b) loop
      v_row[j + 1] := least(
        v_row[j] + 1,
        v_above[j + 1] + 1,
        v_above[j] + case when v_a[i] = v_b[j] then 0 else 1 end
      );
    end loop;

    v_above := v_row;
  end loop;

  return v_above[cardinality(v_b) + 1];
end;
$$;

comment on function wfg.edit_distance(text, text) is
'Levenshtein: how many characters to insert, delete or replace to get from one text to the other.';
