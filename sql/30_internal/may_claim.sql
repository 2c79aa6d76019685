create or replace function wfg.may_claim(
  p_labels text[],
  p_now    timestamptz
)
  returns boolean
  language plpgsql
  volatile
as $$
begin
  -- A snapshot that is older than a pause does not show it: locking what changed since raises 40001 (key share
  -- may not, where the key is as it was). What is being changed right now still is as it was.
  if current_setting('transaction_isolation') <> 'read committed' then
    perform 1
       from wfg.label_sets s
      where s.namespace = wfg.namespace()
        and s.labels = wfg.sorted_labels(p_labels)
        for share skip locked;
  end if;

  return current_setting('wfg.home', true) is not distinct from 'wfg.homes'::regclass::oid::text or wfg.is_home(p_now);
end;
$$;

comment on function wfg.may_claim(text[], timestamptz) is
$$What a claim asks first, where it is the first one of its session, or not in READ COMMITTED: whether this database is
the one that its jobs are of, and whether the snapshot shows what is paused.$$;
