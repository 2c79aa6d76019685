create or replace function wfg.prune_workflows(
  p_before  timestamptz,
  p_limit   integer,
  p_dry_run boolean
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_ids text[];
begin
  v_ids := array(
    select w.id
      from wfg.workflows w
     where w.namespace = wfg.namespace()
       and w.deleted_at < p_before
       and not exists (select from wfg.pauses p where p.namespace = w.namespace and p.workflow_id = w.id)
       and not exists (select from wfg.runs r where r.namespace = w.namespace and r.workflow_id = w.id)
     order by w.id
     limit p_limit
       for update skip locked
  );

  if not p_dry_run then
    -- Again, now that they are locked: a pause may have been committed meanwhile.
    v_ids := array(
      select k.id
        from unnest(v_ids) k (id)
       where not exists (select from wfg.pauses p where p.namespace = wfg.namespace() and p.workflow_id = k.id)
    );
    delete from wfg.workflow_versions v
     using unnest(v_ids) k (id)
     where v.namespace = wfg.namespace()
       and v.workflow_id = k.id;
    delete from wfg.workflows w
     using unnest(v_ids) k (id)
     where w.namespace = wfg.namespace()
       and w.id = k.id;
  end if;

  return cardinality(v_ids);
end;
$$;

comment on function wfg.prune_workflows(timestamptz, integer, boolean) is
'Forget workflows deleted before, that have no run left: put again, they begin with version 1. Answers how many.';
