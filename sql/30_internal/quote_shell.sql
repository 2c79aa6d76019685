create or replace function wfg.quote_shell(p_text text)
  returns text
  language sql
  immutable
  strict
  parallel safe
as $$
  select '''' || replace(p_text, '''', '''\''''') || '''';
$$;

comment on function wfg.quote_shell(text) is 'A text as one word of a POSIX shell, whatever is in it.';
