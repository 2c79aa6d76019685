create or replace function wfg.prune_label_sets(
  p_before  timestamptz,
  p_limit   integer,
  p_dry_run boolean
)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_ids integer[];
begin
  v_ids := array(
    select l.id
      from wfg.label_sets l
     where l.used_at < p_before
     limit p_limit
       for update skip locked
  );

  if not p_dry_run then
    delete from wfg.label_sets l using unnest(v_ids) k (id) where l.id = k.id;
  end if;

  return cardinality(v_ids);
end;
$$;

comment on function wfg.prune_label_sets(timestamptz, integer, boolean) is
'Forget label sets that no worker claimed with since. Answers how many.';
