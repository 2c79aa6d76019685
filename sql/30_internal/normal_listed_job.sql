create or replace function wfg.normal_listed_job(p_job json)
  returns jsonb
  language plpgsql
  immutable
as $$
begin
  return jsonb_build_object(
    'key', p_job ->> 'id',
    'name', p_job ->> 'name',
    'needs', p_job -> 'depends_on',
    'labels', coalesce(p_job -> 'required_labels', '[]'),
    'priority', 0,
    'retries', coalesce(p_job -> 'max_retries', '0'),
    'lost_retries', 0,
    'backoff', '{"kind": "none"}'::jsonb,
    'timeout_secs', null,
    'env', '{}'::jsonb,
    'script', p_job ->> 'command',
    'command', p_job ->> 'command',
    'group', null,
    'metadata', coalesce(p_job -> 'metadata', '{}'),
    'ports', coalesce(p_job -> 'ports', '[]'),
    'children', p_job -> 'children',
    'collapsed', coalesce(p_job -> 'collapsed', 'false')
  );
end;
$$;

comment on function wfg.normal_listed_job(json) is
'The normal form of a job of the API''s list, which must have no problems. Its command is taken as it is.';
