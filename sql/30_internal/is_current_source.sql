create or replace function wfg.is_current_source(
  p_workflow_id text,
  p_source      json
)
  returns boolean
  language plpgsql
  stable
as $$
begin
  return exists (
    select
      from wfg.workflows w
      join wfg.workflow_versions v
        on v.namespace = w.namespace
       and v.workflow_id = w.id
       and v.version = w.version
     where w.namespace = wfg.namespace()
       and w.id = p_workflow_id
       and w.deleted_at is null
       and v.source::text = p_source::text
  );
end;
$$;

comment on function wfg.is_current_source(text, json) is
'Whether a workflow''s current version was put as this very text.';
