create or replace function wfg.prune_label_sets(p_before timestamptz)
  returns integer
  language plpgsql
  volatile
as $$
declare
  v_count integer;
begin
  delete from wfg.label_sets l
   where l.id in (
           select k.id
             from wfg.label_sets k
            where k.used_at < p_before
              for update skip locked
         );
  get diagnostics v_count = row_count;

  return v_count;
end;
$$;

comment on function wfg.prune_label_sets(timestamptz) is
'Forget label sets that no worker claimed with since. Answers how many.';
