create or replace function wfg.normal_job(
  p_key text,
  p_job json,
  p_env jsonb
)
  returns jsonb
  language plpgsql
  immutable
as $$
declare
  v_env    constant jsonb := p_env || wfg.env_object(p_job -> 'env');
  v_script constant text := wfg.build_script(p_job);
  v_needs  constant json := p_job -> 'needs';
begin
  return jsonb_build_object(
    'key', p_key,
    'name', coalesce(p_job ->> 'name', p_key),
    'needs', case json_typeof(v_needs)
      when 'array' then v_needs
      when 'string' then json_build_array(v_needs)
      else '[]'
    end,
    'labels', coalesce(p_job -> 'labels', '[]'),
    'priority', coalesce(p_job -> 'priority', '0'),
    'retries', coalesce(p_job -> 'retries', '0'),
    'lost_retries', coalesce(p_job -> 'lost_retries', '0'),
    'backoff', wfg.normal_backoff(p_job -> 'backoff'),
    'timeout_secs', p_job -> 'timeout',
    'env', v_env,
    'script', v_script,
    'command', wfg.exports(v_env) || v_script,
    'group', p_job ->> 'group',
    'metadata', coalesce(p_job -> 'metadata', '{}'),
    'ports', '[]'::jsonb,
    'children', null,
    'collapsed', false
  );
end;
$$;

comment on function wfg.normal_job(text, json, jsonb) is
'The normal form of a job of a file, which must have no problems. p_env: the file''s.';
