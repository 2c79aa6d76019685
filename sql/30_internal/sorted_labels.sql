create or replace function wfg.sorted_labels(p_labels text[])
  returns text[]
  language plpgsql
  immutable
as $$
begin
  if cardinality(p_labels) <= 1 then
    return p_labels;
  end if;

  return array(select distinct l.label collate "C" from unnest(p_labels) l (label) order by 1);
end;
$$;

comment on function wfg.sorted_labels(text[]) is
'Labels as lanes and label sets have them: sorted by code point, distinct.';
