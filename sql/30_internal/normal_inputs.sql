create or replace function wfg.normal_inputs(p_inputs json)
  returns jsonb
  language plpgsql
  immutable
as $$
begin
  if p_inputs is null then
    return '[]'::jsonb;
  end if;

  return (
    select coalesce(
             jsonb_agg(
               jsonb_build_object(
                 'name', i.name,
                 'type', coalesce(i.input ->> 'type', 'string'),
                 'default', i.input -> 'default',
                 'required', coalesce((i.input ->> 'required')::boolean, false),
                 'description', i.input ->> 'description',
                 'options', coalesce(i.input -> 'options', '[]')
               )
               order by i.no
             ),
             '[]'
           )
      from json_each(p_inputs) with ordinality i (name, input, no)
  );
end;
$$;

comment on function wfg.normal_inputs(json) is
'The normal form of the inputs of a file, which must have no problems. Null: none.';
