create or replace function wfg.check_outputs(
  p_field   text,
  p_outputs jsonb
)
  returns void
  language plpgsql
  stable
as $$
declare
  v_bytes   integer;
  v_problem text;
begin
  if p_outputs = '{}' then
    return;
  end if;

  v_bytes := octet_length(p_outputs::text);

  v_problem := case
    when jsonb_typeof(p_outputs) is distinct from 'object' then
      ': must be an object, not ' || coalesce(jsonb_typeof(p_outputs), 'null')
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

  -- No limit is less, and so few bytes hold less than 128 outputs: most jobs have no need to look.
  if v_bytes > 1024 then
    perform wfg.refuse_over_limit(p_field, v_bytes, 'bytes', 'job_output_bytes');
    perform wfg.refuse_over_limit(p_field, wfg.json_size(p_outputs::json), 'outputs', 'outputs_per_job');
  end if;
end;
$$;

comment on function wfg.check_outputs(text, jsonb) is
'Refuse outputs that are not an object of strings, or over their limits: 422 invalid_request.';
