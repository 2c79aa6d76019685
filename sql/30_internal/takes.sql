create or replace function wfg.takes(
  p_worker   text[],
  p_required text[]
)
  returns boolean
  language sql
  immutable
as $$
  select p_required <@ p_worker and (p_required <> '{}' or '!unlabeled' <> all (p_worker));
$$;

comment on function wfg.takes(text[], text[]) is
$$Whether a worker with these labels may take a job that requires those. A worker with the label !unlabeled takes no job
without labels: such jobs are shell commands, and it runs none.$$;
