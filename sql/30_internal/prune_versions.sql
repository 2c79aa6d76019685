create or replace function wfg.prune_versions(
  p_before  timestamptz,
  p_limit   integer,
  p_dry_run boolean
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_versions bigint[];
begin
  v_versions := array(
    select v.id
      from wfg.workflow_versions v
     where exists (
             select
               from wfg.workflow_versions n
              where n.namespace = v.namespace
                and n.workflow_id = v.workflow_id
                and n.version > v.version
                and n.created_at < p_before
           )
       and not exists (select from wfg.runs r where r.version_id = v.id)
     order by v.namespace, v.workflow_id, v.version
     limit p_limit
       for update skip locked
  );

  if not p_dry_run then
    delete from wfg.workflow_versions v using unnest(v_versions) k (id) where v.id = k.id;
  end if;

  return cardinality(v_versions);
end;
$$;

comment on function wfg.prune_versions(timestamptz, integer, boolean) is
$$Delete versions that no run uses, and that have had a successor since before: one that a start has just looked up is
younger. Answers how many.$$;
