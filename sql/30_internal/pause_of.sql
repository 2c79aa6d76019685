create or replace function wfg.pause_of(
  p_workflow_id text,
  p_labels      text[]
)
  returns text
  language plpgsql
  stable
as $$
begin
  return case
    when exists (select from wfg.pauses p where p.namespace = wfg.namespace() and p.kind = 'all') then 'all'
    when exists (
           select
             from wfg.pauses p
            where p.namespace = wfg.namespace()
              and p.workflow_id = p_workflow_id
         ) then 'workflow'
    when exists (
           select
             from wfg.pauses p
            where p.namespace = wfg.namespace()
              and p.labels <@ p_labels
         ) then 'labels'
  end;
end;
$$;

comment on function wfg.pause_of(text, text[]) is
$$What keeps jobs of a workflow, that require these labels, from being handed out: the widest kind of pause; null: none.

p_workflow_id null: of any workflow, so whether a lane is paused. p_labels null: whatever they require.$$;
