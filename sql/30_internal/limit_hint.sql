create or replace function wfg.limit_hint(p_limit text)
  returns text
  language plpgsql
  immutable
as $$
begin
  return (
    select format(
             'The owner may set the limit to %s at most: wfg limits set %s VALUE, or wfg_set_limit.', k.most, k.name
           )
      from wfg.known_limits() k
     where k.name = p_limit
  );
end;
$$;

comment on function wfg.limit_hint(text) is 'What to do about a limit that is in the way.';
