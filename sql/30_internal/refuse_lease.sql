create or replace function wfg.refuse_lease(
  p_message text,
  p_job     text
)
  returns void
  language plpgsql
  volatile
as $$
begin
  raise sqlstate 'PT409' using
    message = p_message,
    detail  = coalesce('The job is ' || p_job || '.', 'There is no such lease.'),
    hint    = case p_message
      when 'lease_not_held' then 'Stop working: the job may already be running elsewhere.'
      when 'lease_cancelled' then 'Stop working, and acknowledge with fail or release.'
      when 'already_reported' then 'Take the report for delivered.'
    end;
end;
$$;

comment on function wfg.refuse_lease(text, text) is
'Raise the 409 of a lease that does not hold: lease_not_held, lease_cancelled or already_reported, with the
job''s state.';
