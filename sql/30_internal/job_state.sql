create or replace function wfg.job_state(
  p_state       text,
  p_lease_nonce uuid
)
  returns text
  language sql
  immutable
as $$
  select case
    when p_state is null then 'queued'
    when p_state = 'queued' and p_lease_nonce is not null then 'running'
    else p_state
  end;
$$;

comment on function wfg.job_state(text, uuid) is
'A job''s state on the wire: a queued job whose queue row is leased is running. Null, of a job of no run: queued.';
