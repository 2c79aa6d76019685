create or replace function wfg.resolve_inputs(
  p_field    text,
  p_declared jsonb,
  p_inputs   jsonb
)
  returns jsonb
  language plpgsql
  stable
as $$
declare
  v_input    jsonb;
  v_value    jsonb;
  v_inputs   jsonb := '{}'::jsonb;
  v_problems text[];
begin
  if p_inputs = '{}' and p_declared = '[]' then
    return p_inputs;
  end if;

  if jsonb_typeof(p_inputs) is distinct from 'object' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = p_field || ': must be an object of input names and values',
      hint    = 'Send {} for none.';
  end if;

  -- No limit is less: most runs have no need to look. Defaults are of the definition, and are not counted.
  if octet_length(p_inputs::text) > 1024 then
    perform wfg.refuse_over_limit(p_field, octet_length(p_inputs::text), 'bytes', 'run_input_bytes');
  end if;

  v_problems := array(
    select format('%s.%s: the workflow has no such input', p_field, wfg.shorten(k.name))
      from jsonb_object_keys(p_inputs) k (name)
     where not exists (select from jsonb_array_elements(p_declared) d where d ->> 'name' = k.name)
  );

  for v_input in select d from jsonb_array_elements(p_declared) d loop
    v_value := coalesce(nullif(p_inputs -> (v_input ->> 'name'), 'null'), nullif(v_input -> 'default', 'null'));

    if v_value is null then
      if (v_input ->> 'required')::boolean then
        v_problems := v_problems || format('%s.%s: is required', p_field, v_input ->> 'name');
      end if;
    else
      v_value := wfg.convert_input(v_input, v_value);

      if v_value is null then
        v_problems := v_problems || format(
          '%s.%s: must be %s, not %s',
          p_field,
          v_input ->> 'name',
          case v_input ->> 'type'
            when 'choice' then 'one of ' || (v_input ->> 'options')
            else 'a ' || (v_input ->> 'type')
          end,
          left((p_inputs -> (v_input ->> 'name'))::text, 100)
        );
      else
        v_inputs := v_inputs || jsonb_build_object(v_input ->> 'name', v_value);
      end if;
    end if;
  end loop;

  if v_problems <> '{}' then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = array_to_string(v_problems[:20], '; ')
                || coalesce('; and ' || nullif(greatest(cardinality(v_problems) - 20, 0), 0) || ' more', ''),
      hint    = 'The workflow''s inputs are listed by wfg_get_workflow.';
  end if;

  return v_inputs;
end;
$$;

comment on function wfg.resolve_inputs(text, jsonb, jsonb) is
$$The inputs of a run: as sent, converted to their declared types, with defaults filled in.

p_field: how they are called in errors. p_declared: the inputs of the version.
Errors: 422 invalid_request, naming every unknown, missing and ill-typed input, or the limit.$$;
