create or replace function wfg.is_lease_id(p_text text)
  returns boolean
  language sql
  immutable
  parallel safe
as $$
  -- A regular expression says this in one line, and takes 10 us.
  select translate(p_text, '0123456789abcdef', '') = '..'
     and length(split_part(p_text, '.', 1)) = 32
     and length(split_part(p_text, '.', 2)) between 1 and 6
     and length(split_part(p_text, '.', 3)) = 32
     and translate(split_part(p_text, '.', 2), '0123456789', '') = ''
     and split_part(p_text, '.', 2) not like '0%';
$$;

comment on function wfg.is_lease_id(text) is
'Whether a text has the form that wfg.lease_id gives: what has not is simply not held, and never cast.';
