create or replace function wfg.json_problem(
  p_value  json,
  p_limits jsonb
)
  returns wfg.definition_problem
  language plpgsql
  immutable
as $$
declare
  v_bytes constant integer := octet_length(p_value::text);
  v_detail         text;
  v_context        text;
begin
  if v_bytes > (p_limits ->> 'definition_bytes')::bigint then
    return (
      '{}', '',
      format('must be at most %s bytes, found %s: limit definition_bytes', p_limits ->> 'definition_bytes', v_bytes),
      'Move long scripts into files. ' || wfg.limit_hint('definition_bytes'), false
    )::wfg.definition_problem;
  end if;

  -- json takes text that jsonb, and text in Postgres, cannot hold. Say so here, or it fails anywhere below.
  if jsonb_path_exists(
       p_value::jsonb, format('strict $.**{%s}', (p_limits ->> 'definition_levels')::integer + 1)::jsonpath
     )
  then
    return (
      '{}', '',
      format('must be nested at most %s levels deep: limit definition_levels', p_limits ->> 'definition_levels'),
      'Make it flatter. ' || wfg.limit_hint('definition_levels'), false
    )::wfg.definition_problem;
  end if;

  return null;
exception
  when untranslatable_character or invalid_text_representation then
    get stacked diagnostics
      v_detail = pg_exception_detail,      -- \u0000 cannot be converted to text.
      v_context = pg_exception_context;    -- JSON data, line 1: ...t":"\u0000, then the stack

    return (
      '{}', '',
      format('contains text that Postgres cannot store: %s %s', v_detail, left(split_part(v_context, E'\n', 1), 200)),
      'Take the \u0000, or the lone half of a surrogate pair, out.', false
    )::wfg.definition_problem;
  when numeric_value_out_of_range then
    return (
      '{}', '', 'contains a number that Postgres cannot store', 'Write it as a string.', false
    )::wfg.definition_problem;
  when statement_too_complex or program_limit_exceeded then
    return (
      '{}', '', 'is nested too deeply, or too large', 'Make it flatter.', false
    )::wfg.definition_problem;
end;
$$;

comment on function wfg.json_problem(json, jsonb) is
$$Why a JSON text cannot be stored, whatever it means: NUL, lone surrogates, huge numbers, its size, its depth. Null: it
can. p_limits: as wfg.limits_in_force() has them.$$;
