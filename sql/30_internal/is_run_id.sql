create or replace function wfg.is_run_id(p_text text)
  returns boolean
  language sql
  immutable
  parallel safe
as $$
  select p_text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$';
$$;

comment on function wfg.is_run_id(text) is
'Whether a text has the form of a run id (lower case UUID v7). No workflow id has it, so one parameter can take
either.';
