create or replace function wfg.mark_logs_pruned(
  p_runs uuid[],
  p_now  timestamptz
)
  returns void
  language plpgsql
  volatile
as $$
begin
  update wfg.runs r
     set logs_pruned_at = p_now
    from unnest(p_runs) k (run_id)
   where r.id = k.run_id
     and r.logs_pruned_at is null;
end;
$$;

comment on function wfg.mark_logs_pruned(uuid[], timestamptz) is
'Let runs say that logs of theirs were deleted; those that are gone themselves do not.';
