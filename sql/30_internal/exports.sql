create or replace function wfg.exports(p_env jsonb)
  returns text
  language plpgsql
  immutable
as $$
begin
  return (
    select coalesce(
             string_agg('export ' || e.key || '=' || wfg.quote_shell(e.value) || E'\n', '' order by e.key),
             ''
           )
      from jsonb_each_text(p_env) e
  );
end;
$$;

comment on function wfg.exports(jsonb) is
'One line of shell per variable: export NAME=''value''. p_env: object of strings, its names valid.';
