create or replace function wfg.json_problem(p_value json)
  returns wfg.definition_problem
  language plpgsql
  immutable
as $$
declare
  v_text    constant text := p_value::text;
  v_excerpt          text;
begin
  if octet_length(v_text) > 16 * 1024 * 1024 then
    return (
      '{}', '', format('is %s bytes long, at most 16 MiB are allowed', octet_length(v_text)),
      'Move long scripts into files.', false
    )::wfg.definition_problem;
  end if;

  -- json takes text that jsonb, and text in Postgres, cannot hold. Say so here, or it fails anywhere below.
  perform p_value::jsonb;
  return null;
exception
  when untranslatable_character or invalid_text_representation then
    v_excerpt := substring(
      v_text from
      '.{0,20}[^\\](?:\\\\)*(?:'
      || '\\u0000'
      || '|\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])'
      || '|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}'
      || ')'
    );

    return (
      '{}', '', 'contains a character that Postgres cannot store: '
        || coalesce('a NUL, or half a surrogate pair, at the end of ' || v_excerpt, 'an invalid escape'),
      'Take the \u0000 (or the lone \ud800 … \udfff) out.', false
    )::wfg.definition_problem;
  when numeric_value_out_of_range then
    return (
      '{}', '', 'contains a number that Postgres cannot store', 'Write it as a string.', false
    )::wfg.definition_problem;
  when statement_too_complex or program_limit_exceeded then
    return ('{}', '', 'is nested too deeply, or too large', 'Make it flatter.', false)::wfg.definition_problem;
end;
$$;

comment on function wfg.json_problem(json) is
'Why a JSON text cannot be stored, whatever it means: NUL, lone surrogates, huge numbers, its size. Null: it can.';
