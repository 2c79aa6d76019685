create or replace function wfg.is_kept(
  p_state       text,
  p_lease_nonce uuid
)
  returns boolean
  language sql
  immutable
as $$
  select p_state = 'success' and p_lease_nonce is null;
$$;

comment on function wfg.is_kept(text, uuid) is
'Whether a job did not run in its run, a re-run, but is kept from the one before: a success that nobody reported.';
