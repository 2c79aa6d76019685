create or replace function wfg.backoff_json(
  p_backoff text,
  p_base    integer,
  p_max     integer
)
  returns json
  language plpgsql
  immutable
as $$
begin
  return case p_backoff
    when 'fixed' then
      json_build_object('Fixed', json_build_object('delay_secs', p_base))
    when 'exponential' then
      json_build_object(
        'Exponential',
        json_build_object('base_secs', p_base, 'max_secs', p_max)
      )
    else to_json('None'::text)
  end;
end;
$$;

comment on function wfg.backoff_json(text, integer, integer) is
'A job''s backoff in the form that workflow-graph workers parse: whole seconds, the names as they are.';
