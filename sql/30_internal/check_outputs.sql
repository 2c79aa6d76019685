create or replace function wfg.check_outputs(
  p_field   text,
  p_outputs jsonb
)
  returns void
  language plpgsql
  immutable
as $$
declare
  v_problem text;
begin
  if p_outputs = '{}' then
    return;
  end if;

  v_problem := case
    when jsonb_typeof(p_outputs) is distinct from 'object' then
      ': must be an object, not ' || coalesce(jsonb_typeof(p_outputs), 'null')
    when octet_length(p_outputs::text) > 1048576 then
      ': must be at most 1048576 bytes'
    else (
      select '.' || wfg.shorten(o.key) || ': must be a string, not ' || jsonb_typeof(o.value)
        from jsonb_each(p_outputs) o
       where jsonb_typeof(o.value) <> 'string'
       limit 1
    )
  end;

  if v_problem is not null then
    raise sqlstate 'PT422' using
      message = 'invalid_request',
      detail  = p_field || v_problem,
      hint    = 'Outputs are names and texts: {"coverage":"94%"}.';
  end if;
end;
$$;

comment on function wfg.check_outputs(text, jsonb) is
'Refuse outputs that are not an object of strings, or over 1 MiB: 422 invalid_request.';
