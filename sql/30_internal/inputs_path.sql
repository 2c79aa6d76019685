create or replace function wfg.inputs_path(p_inputs jsonb)
  returns jsonpath
  language plpgsql
  immutable
as $$
begin
  -- What a text may stand for is what wfg.convert_input makes of one. Inputs are never arrays or objects.
  return (
    select 'strict ' || string_agg(
             case
               when jsonb_typeof(w.value) in ('array', 'object') then '$ == null'
               else format(
                 '($.%1$s == %2$s%3$s)',
                 to_json(w.name),
                 w.value,
                 case
                   when jsonb_typeof(w.value) <> 'string' then ''
                   when t.text in ('true', 'false') then format(' || $.%s == %s', to_json(w.name), t.text)
                   when t.text ~ '^-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?$' then
                     format(' || $.%s == %s', to_json(w.name), t.text::numeric)
                   else ''
                 end
               )
             end,
             ' && '
           )
      from jsonb_each(p_inputs) w (name, value)
     cross join lateral (select w.value #>> '{}' as text) t
  )::jsonpath;
end;
$$;

comment on function wfg.inputs_path(jsonb) is
$$A predicate: whether the inputs of a run have all these values. Null when none are wanted.

A text also stands for the number or boolean that is written so, as when a run is started.$$;
