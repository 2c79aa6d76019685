create or replace function wfg.check_inputs(p_nodes wfg.definition_node[])
  returns setof wfg.definition_problem
  language plpgsql
  immutable
as $$
declare
  v_nodes constant wfg.definition_node[] := array(select n from unnest(p_nodes) n where n.level = 'inputs');
begin
  return query
  with input as (
    select n.place, n.path, n.value -> 'default' as preset, wfg.json_type(n.value -> 'default') as preset_type,
           coalesce(n.value ->> 'type', 'string') as type, n.value -> 'options' as options,
           n.value ->> 'required' as required
      from unnest(v_nodes) n
     where n.type = 'object'
  )
  select i.place, i.path || '.default',
         format('does not match type: %s, found %s', i.type, wfg.describe_json(i.preset)),
         'Write a default of that type; quotes make a number text.', false
    from input i
   where i.preset_type in ('string', 'integer', 'number', 'boolean')
     and not case i.type
       when 'number' then i.preset_type in ('integer', 'number')
       when 'boolean' then i.preset_type = 'boolean'
       when 'string' then i.preset_type = 'string'
       when 'choice' then i.preset_type = 'string'
       else true
     end
  union all
  select i.place, i.path, 'an input of type choice needs options', 'Write options: [dev, prod].', false
    from input i
   where i.type = 'choice'
     and i.options is null
  union all
  select i.place, i.path || '.options', format('an input of type %s has no options', i.type),
         'Write type: choice.', false
    from input i
   where i.type in ('string', 'number', 'boolean')
     and i.options is not null
  union all
  select i.place, i.path || '.default', format('%s is not among the options', wfg.describe_json(i.preset)),
         'Write one of the options.', false
    from input i
   where i.type = 'choice'
     and i.preset_type = 'string'
     and json_typeof(i.options) = 'array'
     and not i.options::jsonb ? (i.preset #>> '{}')
  union all
  select i.place, i.path || '.options', format('%s stands %s times', to_json(wfg.shorten(o.option)), count(*)),
         'Keep one of them.', false
    from input i
   cross join lateral json_array_elements_text(
           case json_typeof(i.options) when 'array' then i.options end
         ) o (option)
   group by i.place, i.path, o.option
  having count(*) > 1
  union all
  select i.place, i.path || '.required', 'has no effect: the input has a default',
         'Leave out one of the two.', true
    from input i
   where i.required = 'true'
     and i.preset is not null;

  return query
  select max(n.place), (array_agg(n.path order by n.place desc))[1],
         format('the inputs %s become the same variable INPUT_%s',
                wfg.shorten(string_agg(n.key, ', ' order by n.place)), wfg.shorten(wfg.env_name(n.key))),
         'Rename all but one.', false
    from unnest(v_nodes) n
   group by wfg.env_name(n.key)
  having count(distinct n.key) > 1;
end;
$$;

comment on function wfg.check_inputs(wfg.definition_node[]) is
'Inputs whose default or options do not fit their type, and inputs that would become the same variable.';
