create or replace function wfg.limit_of(p_name text)
  returns bigint
  language plpgsql
  stable
as $$
begin
  return (
    select greatest(k.least, least(k.most, coalesce(l.value, k.preset)))
      from wfg.known_limits() k
      left join wfg.limits l on l.namespace = wfg.namespace() and l.name = k.name
     where k.name = p_name
  );
end;
$$;

comment on function wfg.limit_of(text) is
'A limit in force: as it was set, within what this revision allows.';
