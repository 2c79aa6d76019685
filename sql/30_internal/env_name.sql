create or replace function wfg.env_name(p_name text)
  returns text
  language sql
  immutable
  strict
  parallel safe
as $$
  select regexp_replace(upper(p_name collate "C"), '[^A-Z0-9]', '_', 'g');
$$;

comment on function wfg.env_name(text) is
$$A name as part of the name of an environment variable: INPUT_ || wfg.env_name('my-input') is INPUT_MY_INPUT.

ASCII upper case; each character but A-Z and 0-9 becomes _. Two names can meet.$$;
