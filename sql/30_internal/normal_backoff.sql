create or replace function wfg.normal_backoff(p_backoff json)
  returns jsonb
  language plpgsql
  immutable
as $$
declare
  v_exponential constant json := case json_typeof(p_backoff) when 'object' then p_backoff -> 'exponential' end;
begin
  if p_backoff is null or json_typeof(p_backoff) = 'string' then
    return '{"kind": "none"}'::jsonb;
  elsif v_exponential is null then
    return jsonb_build_object('kind', 'fixed', 'base_secs', p_backoff -> 'fixed');
  end if;

  return jsonb_build_object(
    'kind', 'exponential',
    'base_secs', v_exponential -> 'base',
    'max_secs', coalesce(v_exponential -> 'max', '3600'),
    'jitter', coalesce(v_exponential -> 'jitter', '0')
  );
end;
$$;

comment on function wfg.normal_backoff(json) is
'The normal form of the backoff of a job of a file, which must have no problems. Null: none.';
