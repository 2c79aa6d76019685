create or replace function wfg.shorten(p_text text)
  returns text
  language sql
  immutable
  parallel safe
as $$
  select case when length(p_text) > 80 then left(p_text, 77) || '…' else p_text end;
$$;

comment on function wfg.shorten(text) is 'At most 80 characters of a user''s text, to be shown in a message.';
